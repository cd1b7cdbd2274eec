import { Argument, type Command } from 'commander'
import { loadConfig } from '../config.ts'
import {
  findWebhookSchedule,
  setWebhookSchedule,
  type WebhookSchedule,
  webhookSchedules,
} from '../webhooks/schedule.ts'
import {
  findWebhookSecrets,
  finishRotation,
  replaceWebhookSecret,
  rotateWebhookSecret,
  type WebhookSecrets,
} from '../webhooks/secrets.ts'
import { url, word } from './arguments.ts'
import { CommandFailed, print, table, withDatabase } from './output.ts'
import { requireUser } from './user.ts'

export function addWebhookCommands(program: Command): void {
  const webhook = program
    .command('webhook')
    .description('Secrets, schedule and test of the webhooks of a user.')
  webhook
    .command('secret')
    .description('Show the secret that signs webhooks, and the old one while a rotation overlaps.')
    .argument('<user>', 'user id or e-mail address', word)
    .option('--json', 'print one JSON document')
    .action(async (idOrEmail: string, options: { json?: boolean }) => {
      await withDatabase(async ({ pool, clock }) => {
        const { userId } = await requireUser(pool, idOrEmail)
        printSecrets(options, userId, (await findWebhookSecrets(pool, userId, clock.now()))!)
      })
    })
  webhook
    .command('rotate-secret')
    .description(
      'Make a new secret. For 24 hours the old one signs too: webhook-signature carries both, X-PixelByte-Signature is made with the old one and, on every second attempt, the new one.',
    )
    .argument('<user>', 'user id or e-mail address', word)
    .option('--now', 'without the old one, at once: for a secret that has leaked')
    .option('--finish', 'no new secret: end the overlap of the last rotation')
    .option('--json', 'print one JSON document')
    .action(rotate)
  webhook
    .command('schedule')
    .description(
      'Show or choose for how long a webhook is tried: short is 1, 4, 16, 64 and 256 s after each failure, long goes on after 15 min, 1, 3, 6 and 12 h.',
    )
    .argument('<user>', 'user id or e-mail address', word)
    .addArgument(new Argument('[schedule]', 'choose it').choices(webhookSchedules))
    .option('--json', 'print one JSON document')
    .action(async (idOrEmail: string, chosen: WebhookSchedule | undefined, options: { json?: boolean }) => {
      await withDatabase(async ({ pool }) => {
        const { userId } = await requireUser(pool, idOrEmail)
        if (chosen !== undefined) await setWebhookSchedule(pool, userId, chosen)
        const schedule = (await findWebhookSchedule(pool, userId))!
        print(options, { userId, schedule }, [schedule])
      })
    })
  webhook
    .command('test')
    .description('Send one signed event of a job that does not exist. Exits 1 if it is not taken.')
    .argument('<user>', 'user id or e-mail address; whose secret signs', word)
    .requiredOption('--url <url>', 'the receiver', url)
    .option('--json', 'print one JSON document')
    .action(test)
}

async function rotate(
  idOrEmail: string,
  options: { now?: boolean; finish?: boolean; json?: boolean },
): Promise<void> {
  if (options.now && options.finish) throw new CommandFailed('give --now or --finish, not both')
  await withDatabase(async ({ pool, clock }) => {
    const { userId } = await requireUser(pool, idOrEmail)
    const now = clock.now()
    if (options.finish && !(await finishRotation(pool, userId, now)))
      throw new CommandFailed('no rotation is under way: only one secret signs')
    const secrets = options.now
      ? await replaceWebhookSecret(pool, userId)
      : options.finish
        ? await findWebhookSecrets(pool, userId, now)
        : await rotateWebhookSecret(pool, userId, now)
    if (secrets === undefined) {
      const { previous } = (await findWebhookSecrets(pool, userId, now))!
      throw new CommandFailed(
        `a rotation is under way until ${previous?.until.toISOString()}: end it with --finish, or replace both secrets with --now`,
      )
    }
    printSecrets(options, userId, secrets)
  })
}

function printSecrets(
  options: { json?: boolean },
  userId: string,
  { secret, previous }: WebhookSecrets,
): void {
  const until = previous?.until.toISOString() ?? null
  const document = {
    userId,
    webhookSecret: secret,
    previousWebhookSecret: previous?.secret ?? null,
    previousSignsUntil: until,
  }
  const lines = [secret, ...(previous === null ? [] : [`${previous.secret} signs too until ${until}`])]
  print(options, document, lines)
}

async function test(idOrEmail: string, options: { url: string; json?: boolean }): Promise<void> {
  // only here: they bring the HTTP client, which the other commands do without
  const [{ createOutbound }, { checkWebhookUrl }, { sendTestEvent }] = await Promise.all([
    import('../outbound.ts'),
    import('../webhooks/check-url.ts'),
    import('../webhooks/test-event.ts'),
  ])
  const outbound = createOutbound({ allowPrivate: loadConfig(process.env).allowPrivateNetwork })
  try {
    const outcome = await withDatabase(async ({ pool, clock }) => {
      const { userId } = await requireUser(pool, idOrEmail)
      const url = await checkWebhookUrl(outbound, options.url, '--url')
      return sendTestEvent({ db: pool, outbound }, userId, url, clock.now())
    })
    const rows = Object.entries(outcome).map(([name, value]) => [name, String(value ?? '')])
    print(options, outcome, table(rows))
    if (!outcome.delivered) process.exitCode = 1
  } finally {
    await outbound.close()
  }
}
