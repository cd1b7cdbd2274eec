import { Argument, type Command, Option } from 'commander'
import {
  changeUser,
  createUser,
  findUser,
  listUsers,
  type UnknownOutcome,
  type User,
  type UserStatus,
  unknownOutcomes,
  userStatuses,
} from '../accounts/users.ts'
import type { Db } from '../db.ts'
import { dollars } from '../dollars.ts'
import { findWebhookSecrets } from '../webhooks/secrets.ts'
import { count, days, email, finite, limit, text, word } from './arguments.ts'
import { CommandFailed, print, table, withDatabase } from './output.ts'

/** Answers the command that they are in. */
export function addUserCommands(program: Command): Command {
  const user = program.command('user').description('Make users and give them credit.')
  user
    .command('create')
    .description('Make a user with an empty live and an empty test balance.')
    .requiredOption('--email <email>', 'e-mail address; one user each', email)
    .option('--name <name>', 'name', text)
    .option('--concurrency <jobs>', 'most unfinished jobs at once, or "unlimited"', limit, 10)
    .option('--json', 'print one JSON document')
    .action(async (options: { email: string; name?: string; concurrency: number; json?: boolean }) => {
      await withDatabase(async ({ pool }) => {
        const created = await createUser(pool, {
          email: options.email,
          name: options.name,
          concurrencyLimit: finite(options.concurrency),
        })
        if (created === undefined)
          throw new CommandFailed(`a user with the e-mail address ${options.email} exists`)
        print(options, created, describe(created))
      })
    })
  user
    .command('show')
    .description('Show a user with balances and limits.')
    .argument('<user>', 'user id or e-mail address', word)
    .option('--webhook-secret', 'show the secret that signs webhooks')
    .option('--json', 'print one JSON document')
    .action(async (idOrEmail: string, options: { webhookSecret?: boolean; json?: boolean }) => {
      await withDatabase(async ({ pool, clock }) => {
        const found = await requireUser(pool, idOrEmail)
        const shown = options.webhookSecret
          ? { ...found, webhookSecret: (await findWebhookSecrets(pool, found.userId, clock.now()))?.secret }
          : found
        print(options, shown, describe(shown))
      })
    })
  user
    .command('list')
    .description('List the newest users.')
    .option('--limit <count>', 'how many, 1 to 1000', count, 100)
    .option('--json', 'print one JSON document')
    .action(async (options: { limit: number; json?: boolean }) => {
      await withDatabase(async ({ pool }) => {
        const users = await listUsers(pool, options.limit)
        const rows = users.map((each) => [
          each.userId,
          each.email,
          each.status,
          dollars(each.balanceMicroCents),
          dollars(each.testBalanceMicroCents),
          each.segments.join(','),
        ])
        print(options, { users }, table([['id', 'e-mail', 'status', 'live', 'test', 'segments'], ...rows]))
      })
    })
  user
    .command('status')
    .description('Let a user in or keep it out; counts from the next request of each of its keys on.')
    .argument('<user>', 'user id or e-mail address', word)
    .addArgument(new Argument('<status>', 'what the user is from now on').choices(userStatuses))
    .option('--json', 'print one JSON document')
    .action(async (idOrEmail: string, status: UserStatus, options: { json?: boolean }) => {
      await change(idOrEmail, { status }, options)
    })
  user
    .command('limit')
    .description('Set how many unfinished jobs a user may have at once, live and test apart.')
    .argument('<user>', 'user id or e-mail address', word)
    .argument('<jobs>', 'a whole number, or "unlimited"', limit)
    .option('--json', 'print one JSON document')
    .action(async (idOrEmail: string, jobs: number, options: { json?: boolean }) => {
      await change(idOrEmail, { concurrencyLimit: finite(jobs) }, options)
    })
  user
    .command('retention')
    .description(
      'Set for how many days the files of a job are kept after it has completed; counts for the jobs there are, too. What is older is deleted, for good, within minutes.',
    )
    .argument('<user>', 'user id or e-mail address', word)
    .addOption(
      new Option('--days <days>', 'a whole number from 1 to 36500').argParser(days).conflicts('forever'),
    )
    .option('--forever', 'delete nothing by age')
    .option('--json', 'print one JSON document')
    .action(async (idOrEmail: string, options: { days?: number; forever?: boolean; json?: boolean }) => {
      if (options.days === undefined && !options.forever) throw new CommandFailed('give --days or --forever')
      await change(idOrEmail, { retentionDays: options.days ?? null }, options)
    })
  user
    .command('unknown-outcome')
    .description(
      'Say what becomes of a job at the end of its time if nobody can tell whether its upstream has it: refund fails it and gives its charge back; hold keeps it until the upstream has answered, or "job give-up" ends it.',
    )
    .argument('<user>', 'user id or e-mail address', word)
    .addArgument(new Argument('<outcome>', 'for all jobs of the user').choices(unknownOutcomes))
    .option('--json', 'print one JSON document')
    .action(async (idOrEmail: string, unknownOutcome: UnknownOutcome, options: { json?: boolean }) => {
      await change(idOrEmail, { unknownOutcome }, options)
    })
  return user
}

async function change(
  idOrEmail: string,
  changes: Parameters<typeof changeUser>[2],
  options: { json?: boolean },
): Promise<void> {
  await withDatabase(async ({ pool }) => {
    const { userId } = await requireUser(pool, idOrEmail)
    await changeUser(pool, userId, changes)
    await printUser(pool, userId, options)
  })
}

/** Prints a user as it is now. */
export async function printUser(db: Db, userId: string, options: { json?: boolean }): Promise<void> {
  const user = await requireUser(db, userId)
  print(options, user, describe(user))
}

/** The user of this id or e-mail address; fails the command if there is none. */
export async function requireUser(db: Db, idOrEmail: string): Promise<User> {
  const user = await findUser(db, idOrEmail)
  if (user === undefined) throw new CommandFailed(`there is no user ${idOrEmail}`)
  return user
}

function describe(user: User & { webhookSecret?: string | undefined }): string[] {
  return table([
    ['id', user.userId],
    ['e-mail', user.email],
    ['name', user.name ?? ''],
    ['status', user.status],
    ['live balance', dollars(user.balanceMicroCents)],
    ['test balance', dollars(user.testBalanceMicroCents)],
    ...(user.owedMicroCents > 0 ? [['owes', dollars(user.owedMicroCents)]] : []),
    ...(user.testOwedMicroCents > 0 ? [['owes in test mode', dollars(user.testOwedMicroCents)]] : []),
    ['jobs at once', String(user.concurrencyLimit ?? 'unlimited')],
    ['segments', user.segments.join(', ') || 'none'],
    ['private models', user.allowedModels.join(', ') || 'none'],
    ['files are kept', user.retentionDays === null ? 'for ever' : `${user.retentionDays} days`],
    ['unknown outcome', user.unknownOutcome],
    ...(user.webhookSecret === undefined ? [] : [['webhook secret', user.webhookSecret]]),
  ])
}
