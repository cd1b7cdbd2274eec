import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { test } from 'node:test'
import { isWellFormedKey } from '../src/accounts/keys.ts'
import { limitedTo } from '../src/limited-to.ts'
import { atEnd } from './at-end.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { imageToVideo, seedBody, textToVideo } from './seeds.ts'

const root = join(import.meta.dirname, '..')
const database = await cloneDatabase()
const dataDir = await mkdtemp(join(tmpdir(), 'filmgate-command-'))
atEnd(() => rm(dataDir, { recursive: true, force: true }))

interface Outcome {
  code: number
  stdout: string
  stderr: string
}

function start(file: string, args: string[], environment: Record<string, string> = {}): Promise<Outcome> {
  const env = {
    PATH: process.env.PATH,
    DATABASE_URL: database.url,
    FILMGATE_DATA_DIR: dataDir,
    ...environment,
  }
  return new Promise((resolve) => {
    execFile(file, args, { cwd: root, env, timeout: 60_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      resolve({ code, stdout, stderr })
    })
  })
}

// Each start takes the better part of a second of one core.
const inTurn = limitedTo(2)
function filmgate(args: string, environment?: Record<string, string>): Promise<Outcome> {
  return inTurn(() => start(process.execPath, ['src/main.ts', ...args.split(' ')], environment))
}

/** The one JSON document that a command printed. */
async function json(args: string) {
  const { code, stdout, stderr } = await filmgate(`${args} --json`)
  assert.equal(code, 0, stderr)
  assert.equal(stderr, '')
  assert.equal(stdout.trimEnd().split('\n').length, 1, stdout)
  return JSON.parse(stdout)
}

async function fails(args: string, code: number, message: RegExp, environment?: Record<string, string>) {
  const outcome = await filmgate(args, environment)
  assert.equal(outcome.code, code, `${args}: ${outcome.stderr}`)
  assert.equal(outcome.stdout, '')
  assert.match(outcome.stderr, message)
  assert.doesNotMatch(outcome.stderr, /^ {4}at /m, 'a stack trace is shown')
  if (code === 1) assert.match(outcome.stderr, /^filmgate: .*\n$/, 'it is not one line')
}

const commands = [
  'serve',
  'user create',
  'user credit',
  'user show',
  'user list',
  'user status',
  'user limit',
  'key create',
  'key list',
  'key deactivate',
  'key limit',
  'segment create',
  'segment list',
  'segment remove',
  'segment add',
  'segment drop',
  'model show',
  'model visibility',
  'model version',
  'model limit',
  'model allow',
  'model disallow',
  'price override set',
  'price override list',
  'price override remove',
  'ledger verify',
  'job show',
  'job list',
  'webhook secret',
  'webhook rotate-secret',
  'webhook schedule',
  'webhook test',
]

test('every command has its help', { concurrency: true }, async (t) => {
  await Promise.all(
    commands.map((command) =>
      t.test(command, async () => {
        // a database that cannot be reached: help asks none
        const { code, stdout, stderr } = await filmgate(`${command} --help`, {
          DATABASE_URL: 'postgres://x@127.0.0.1:1/x',
        })
        assert.equal(code, 0)
        assert.equal(stderr, '')
        assert.ok(stdout.startsWith(`Usage: filmgate ${command}`), stdout)
        if (command !== 'serve') assert.match(stdout, /--json/)
      }),
    ),
  )
})

test('the help of the whole names every command, and the version is that of the package', async () => {
  const [help, version, user] = await Promise.all([
    filmgate('--help'),
    filmgate('--version'),
    filmgate('user --help'),
  ])
  const names = [...new Set(commands.map((command) => command.split(' ')[0]!)), 'models', 'estimate', 'submit']
  for (const name of names)
    assert.match(help.stdout, new RegExp(`^  ${name}\\b`, 'm'))
  for (const name of ['create', 'credit', 'show']) assert.match(user.stdout, new RegExp(`^  ${name}\\b`, 'm'))
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/)
})

test('from a new user to a key that works', async () => {
  const user = await json('user create --email Ada@Example.com --name Ada')
  assert.deepEqual(Object.keys(user).sort(), [
    'allowedModels',
    'balanceMicroCents',
    'concurrencyLimit',
    'createdAt',
    'email',
    'name',
    'segments',
    'status',
    'testBalanceMicroCents',
    'userId',
    'webhookSecret',
  ])
  assert.match(user.userId, /^user_[0-9a-z]+$/)
  assert.deepEqual(
    [
      user.email,
      user.name,
      user.status,
      user.concurrencyLimit,
      user.balanceMicroCents,
      user.testBalanceMicroCents,
    ],
    ['Ada@Example.com', 'Ada', 'active', 10, 0, 0],
  )

  // one after the other, as each answers the sum
  assert.deepEqual(await json(`user credit ${user.userId} 5000000 --test`), {
    userId: user.userId,
    balanceMicroCents: 0,
    testBalanceMicroCents: 5_000_000,
  })
  assert.deepEqual(await json('user credit ada@example.COM 999999999999999 --note gift'), {
    userId: user.userId,
    balanceMicroCents: 999_999_999_999_999,
    testBalanceMicroCents: 5_000_000,
  })

  const [shown, withSecret, human] = await Promise.all([
    json('user show ada@example.com'),
    json(`user show ${user.userId} --webhook-secret`),
    filmgate(`user show ${user.userId}`),
  ])
  const { webhookSecret, ...open } = user
  assert.deepEqual(shown, {
    ...open,
    balanceMicroCents: 999_999_999_999_999,
    testBalanceMicroCents: 5_000_000,
  })
  assert.equal(withSecret.webhookSecret, webhookSecret)
  assert.ok(!human.stdout.includes(webhookSecret))
  assert.match(human.stdout, /^test balance +\$5\.00$/m)

  const expires = '2099-01-31T00:00:00.000Z'
  const [made, plain] = await Promise.all([
    json(
      `key create --user ${user.userId} --test --name ci --scopes submit_job,check_status --allowed-ips 10.0.0.0/8,::1 --expires ${expires}`,
    ),
    filmgate(`key create --user ${user.userId}`),
  ])
  assert.ok(isWellFormedKey(made.key))
  assert.ok(made.key.startsWith('pb_test_'))
  assert.deepEqual(
    [made.userId, made.mode, made.name, made.scopes, made.allowedIps, made.expiresAt, made.isActive],
    [user.userId, 'test', 'ci', ['submit_job', 'check_status'], ['10.0.0.0/8', '::1'], expires, true],
  )
  const [liveKey] = plain.stdout.split('\n')
  assert.ok(isWellFormedKey(liveKey!), 'the key stands alone on the first line')
  assert.ok(liveKey!.startsWith('pb_live_'))

  const [listed, list] = await Promise.all([
    json(`key list --user ${user.userId}`),
    filmgate('key list --user ada@example.com'),
  ])
  assert.equal(listed.keys.length, 2)
  for (const secret of [made.key, liveKey!, made.key.slice(12), liveKey!.slice(12)]) {
    assert.ok(!JSON.stringify(listed).includes(secret))
    assert.ok(!list.stdout.includes(secret))
  }
  const deactivated = await json(`key deactivate ${made.keyId}`)
  assert.deepEqual([deactivated.keyId, deactivated.isActive, deactivated.key], [made.keyId, false, undefined])
})

test('a limit of unfinished jobs is taken as a number, or as none', async () => {
  const [some, none] = await Promise.all([
    json('user create --email some@example.com --concurrency 3'),
    json('user create --email none@example.com --concurrency unlimited'),
  ])
  assert.deepEqual([some.concurrencyLimit, none.concurrencyLimit], [3, null])
})

/** The e-mail address of a customer, and a key that estimates for it. */
async function makeAgreed() {
  const customer = await makeCustomer(database.pool)
  const { rows } = await database.pool.query('select email from users where id = $1', [customer.userId])
  return { ...customer, email: rows[0].email as string }
}

test('a user is listed, kept out, let in and limited, and so is a key', async () => {
  const { userId, email, keyId } = await makeAgreed()
  const [banned, limited, unlimited, list, human] = [
    await json(`user status ${email} banned`),
    await json(`user limit ${email} 7`),
    await json(`user limit ${userId} unlimited`),
    await json('user list --limit 1'),
    await filmgate('user list'),
  ]
  assert.deepEqual([banned.userId, banned.status, limited.concurrencyLimit], [userId, 'banned', 7])
  assert.deepEqual(list.users, [unlimited])
  assert.deepEqual([unlimited.concurrencyLimit, unlimited.status], [null, 'banned'])
  assert.match(human.stdout, new RegExp(`^${userId} +${email} +banned +\\$0\\.00 +\\$10\\.00$`, 'm'))
  assert.equal((await json(`user status ${email} active`)).status, 'active')

  const [some, none] = [await json(`key limit ${keyId} 60`), await json(`key limit ${keyId} unlimited`)]
  assert.deepEqual([some.keyId, some.requestsPerMinute, none.requestsPerMinute], [keyId, 60, null])
  await Promise.all([
    fails(`user status ${email} gone`, 2, /Allowed choices are active, inactive, banned/),
    fails(`user limit ${email} 0`, 2, /a whole number from 1 up, or "unlimited"/),
    fails('user status nobody@example.com banned', 1, /there is no user nobody@example\.com/),
    fails('key limit key_none 5', 1, /there is no key key_none/),
  ])
})

test('a segment is made, filled and emptied, and goes only when nothing uses it', async () => {
  const { userId, email } = await makeAgreed()
  const made = await json('segment create studios --description Film')
  assert.deepEqual(made, { name: 'studios', description: 'Film', users: 0 })
  const member = await json(`segment add studios ${email}`)
  assert.deepEqual([member.userId, member.segments], [userId, ['studios']])
  await json(`price override set --segment studios --discount 1`)
  await json(`model visibility ${textToVideo} segment --segments studios`)
  const [list, shown] = await Promise.all([
    json('segment list'),
    filmgate(`user show ${email}`),
    fails('segment create studios', 1, /there is a segment studios already/),
    fails('segment create Studios', 2, /lower-case letters/),
    fails(
      'segment remove studios',
      1,
      /still used; .* users \(segment drop\): 1, models \(model visibility\): 1, price overrides .*: 1\n/,
    ),
    fails(`segment add studio ${email}`, 1, /there is no segment studio; did you mean "studios"\?/),
    fails('segment remove studio', 1, /there is no segment studio; did you mean "studios"\?/),
    fails('segment drop studios nobody@example.com', 1, /there is no user/),
  ])
  assert.deepEqual(list.segments, [{ name: 'studios', description: 'Film', users: 1 }])
  assert.match(shown.stdout, /^segments +studios$/m)

  const { overrides } = await json('price override list --segment studios')
  assert.deepEqual((await json(`segment drop studios ${userId}`)).segments, [])
  await json(`price override remove ${overrides[0].id}`)
  await json(`model visibility ${textToVideo} public`)
  assert.deepEqual(await json('segment remove studios'), { name: 'studios', removed: true })
})

test('a model is hidden, opened to one user, limited and put out of use, and all of it taken back', async () => {
  const { email } = await makeAgreed()
  const slug = imageToVideo
  const fresh = await json(`model show ${slug}`)
  assert.deepEqual(
    [fresh.slug, fresh.providerId, fresh.visibility, fresh.segments, fresh.overrides],
    [slug, 'kling', 'public', [], []],
  )
  assert.deepEqual(fresh.versions, [
    {
      version: 'v1.0',
      status: 'active',
      catalogueStatus: 'active',
      isCurrent: true,
      defaultPriceMicroCents: 350_000,
      requestsPerMinute: null,
      requestsPerDay: null,
    },
  ])
  assert.equal((await json(`model visibility ${slug} private`)).visibility, 'private')
  assert.deepEqual((await json('model visibility')).models, [{ slug, visibility: 'private', segments: [] }])
  assert.deepEqual((await json(`model allow ${slug} ${email}`)).allowedModels, [slug])
  await json(`model limit ${slug} v1.0 --per-minute 5 --per-day 100`)
  await json(`model limit ${slug} v1.0 --per-minute unlimited`)
  const [version] = (await json(`model version ${slug} v1.0 disabled`)).versions
  assert.deepEqual(
    [version.status, version.catalogueStatus, version.isCurrent],
    ['disabled', 'active', false],
  )
  assert.deepEqual([version.requestsPerMinute, version.requestsPerDay], [null, 100])
  const human = await filmgate(`model show ${slug}`)
  assert.match(human.stdout, /^for +private$/m)
  assert.match(human.stdout, /^v1\.0 +disabled \(catalogue: active\) +\$0\.35 +unlimited +100$/m)

  await json(`model version ${slug} v1.0 catalogue`)
  await json(`model limit ${slug} v1.0 --per-day unlimited`)
  assert.deepEqual((await json(`model disallow ${slug} ${email}`)).allowedModels, [])
  assert.deepEqual(await json(`model visibility ${slug} public`), fresh)
})

test('what cannot be set of a model is refused with the remedy', async () => {
  const slug = imageToVideo
  await Promise.all([
    fails(
      'model show kling/kling-omni-o2/image-to-video',
      1,
      /there is no model kling\/kling-omni-o2\/image-to-video; did you mean "kling\/kling-omni-o1\/image-to-video"\?/,
    ),
    fails(`model visibility ${slug} hidden`, 2, /Allowed choices are public, private, segment/),
    fails(`model visibility ${slug}`, 1, /say who sees it/),
    fails(`model visibility ${slug} segment`, 1, /--segments a,b/),
    fails(`model visibility ${slug} private --segments a`, 1, /--segments does not go with private/),
    fails(`model visibility ${slug} segment --segments nosuch`, 1, /there is no segment nosuch/),
    fails(`model version ${slug} v9.9 active`, 1, /has no version v9\.9; there are v1\.0/),
    fails(`model version ${slug} v1.0 gone`, 2, /Allowed choices are active, deprecated/),
    fails(`model limit ${slug} v1.0`, 1, /give --per-minute or --per-day/),
    fails(`model limit ${slug} v1.0 --per-day 0`, 2, /a whole number from 1 up, or "unlimited"/),
    fails(`model allow ${slug} nobody@example.com`, 1, /there is no user/),
  ])
})

test('a price override is set, shows what it does, prices jobs, is replaced and removed', async () => {
  const gateway = await startGateway({ databaseUrl: database.url, role: 'api' })
  const { userId, email, key } = await makeAgreed()
  const submit = async () => {
    const body = seedBody(imageToVideo)
    return (await gateway.call('POST', '/v1/jobs/submit', { key, body })).body
  }
  const plain = await submit()
  const first = await json(
    `price override set --user ${email} --model ${imageToVideo} --discount 20 --note contract-7`,
  )
  assert.deepEqual(first.effects, [
    { modelSlug: imageToVideo, listMicroCents: 350_000, costMicroCents: 280_000 },
  ])
  assert.deepEqual(
    [first.userId, first.segment, first.modelSlug, first.kind, first.percentage, first.note],
    [userId, null, imageToVideo, 'percentage_discount', '20', 'contract-7'],
  )
  const discounted = await submit()
  assert.deepEqual([plain.costMicroCents, discounted.costMicroCents], [350_000, 280_000])

  // for the provider's other models, as the more specific one stands for this
  const wide = await json(`price override set --user ${email} --provider kling --fixed 0`)
  const models = wide.effects.map((effect: { modelSlug: string }) => effect.modelSlug)
  assert.ok(models.length > 0 && !models.includes(imageToVideo))
  const human = await filmgate(
    `price override set --user ${email} --model ${imageToVideo} --factor duration.5=4 --factor quality.std=0.5`,
  )
  assert.match(human.stdout, /quality\.std × 0\.5, duration\.5 × 4/)
  assert.match(human.stdout, new RegExp(`^${imageToVideo} +\\$0\\.35 → \\$0\\.14$`, 'm'))
  assert.equal((await submit()).costMicroCents, 140_000)

  const [list, shown, jobs] = await Promise.all([
    json(`price override list --user ${userId}`),
    json(`model show ${imageToVideo}`),
    Promise.all([plain, discounted].map(({ jobId }) => json(`job show ${jobId}`))),
  ])
  assert.deepEqual(
    list.overrides.map((override: { kind: string; factors: unknown }) => [override.kind, override.factors]),
    [
      ['fixed_price', null],
      ['custom_dynamic', { duration: { 5: '4' }, quality: { std: '0.5' } }],
    ],
  )
  assert.equal(shown.overrides.length, 2)
  assert.deepEqual(
    jobs.map((job) => job.priceBasis),
    ['list', first.id],
  )
  for (const { id } of list.overrides)
    assert.deepEqual(await json(`price override remove ${id}`), { id, removed: true })
  assert.equal((await submit()).costMicroCents, 350_000)
})

test('a price override that fits no user, model, field or option is refused, by the options as they are written', async () => {
  const { email } = await makeAgreed()
  const set = `price override set --user ${email} --model ${imageToVideo}`
  await Promise.all([
    fails(
      'price override set',
      1,
      /--user or --segment is required; --discount or --fixed or --factor is required/,
    ),
    fails('price override set --user nobody --discount 5', 1, /--user names no user/),
    fails('price override set --segment nosuch --discount 5', 1, /--segment names no segment/),
    fails(`price override set --user ${email} --provider klink --discount 5`, 1, /did you mean "kling"\?/),
    fails(`${set}s --discount 101`, 1, /--model names no model; did you mean .*; --discount must be a plain/),
    fails(`${set} --discount 5 --fixed 5`, 1, /--fixed cannot stand beside --discount/),
    fails(`${set} --fixed 0.5`, 2, /whole number of micro-cents/),
    fails(`${set} --factor duration=2`, 2, /field\.option=multiplier/),
    fails(
      `${set} --factor durations.5=2`,
      1,
      /--factor durations is not a field .* did you mean "duration"\?/,
    ),
    fails(`${set} --factor duration.1.5=2`, 1, /--factor duration\.1\.5 is not an option; .* are 5, 10/),
    // an option may hold anything: the last equals sign is the one
    fails(`${set} --factor quality.a.b:c=d=2`, 1, /--factor quality\.a\.b:c=d is not an option/),
    fails(`${set} --factor duration.5=x`, 1, /--factor duration\.5 must have a plain decimal/),
    fails('price override list --segment nosuch', 1, /--segment names no segment/),
    fails('price override remove override_none', 1, /there is no price override override_none/),
  ])
})

test('what is not understood exits 2 and says what is wrong', async () => {
  await Promise.all([
    fails('nonsense', 2, /unknown command 'nonsense'/),
    fails('user nonsense', 2, /unknown command 'nonsense'/),
    fails('ledger verify --fix', 2, /unknown option '--fix'/),
    fails('user create', 2, /--email/),
    fails('job list --limit 0', 2, /whole number from 1 to 1000/),
    fails('user create --email nobody', 2, /someone@example\.com/),
    fails('user create --email a@b --concurrency 0', 2, /a whole number from 1 up/),
    ...['0', '1e6', '1000000000000000'].map((amount) =>
      fails(`user credit a@b ${amount}`, 2, /whole number of micro-cents from 1 to/),
    ),
    fails('key create --user a@b --scopes submit_job,root', 2, /"root" is not one of submit_job/),
    fails(
      'key create --user a@b --allowed-ips 10.0.0.0/33',
      2,
      /"10\.0\.0\.0\/33" is neither an address nor a range/,
    ),
    fails('key create --user a@b --allowed-ips 10.0.0.1,home', 2, /"home" is neither/),
    fails('key create --user a@b --expires tomorrow', 2, /2027-01-31T00:00:00Z/),
    fails('key create --user a@b --expires 2020-01-01', 2, /that time is past/),
  ])
})

test('what cannot be done exits 1 with one line', async () => {
  const { userId } = await makeCustomer(database.pool)
  const { rows } = await database.pool.query('select email from users where id = $1', [userId])
  await Promise.all([
    fails('user show nobody@example.com', 1, /there is no user nobody@example\.com/),
    fails('user credit nobody@example.com 5', 1, /there is no user nobody@example\.com/),
    fails('key create --user nobody@example.com', 1, /there is no user nobody@example\.com/),
    fails('key list --user user_none', 1, /there is no user user_none/),
    fails('key deactivate key_none', 1, /there is no key key_none/),
    fails('job show job_none', 1, /there is no job job_none/),
    fails(`user create --email ${rows[0].email.toUpperCase()}`, 1, /exists/),
  ])
})

test('a wrong setting stops the start with one line that names it', async () => {
  const file = join(dataDir, 'a-file')
  await writeFile(file, '')
  const taken = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => taken.once('listening', resolve))
  atEnd(() => taken.close())
  const { port } = taken.address() as { port: number }
  const unreachable = 'postgres://someone:hunter2@127.0.0.1:1/x'
  await Promise.all([
    fails('user show x', 1, /DATABASE_URL: .*ECONNREFUSED.*: give the URL of a running PostgreSQL/, {
      DATABASE_URL: unreachable,
    }),
    // of the addresses of one name each is refused
    fails('user show x', 1, /DATABASE_URL: .*ECONNREFUSED/, { DATABASE_URL: 'postgres://x@localhost:1/x' }),
    fails('user show x', 1, /DATABASE_URL: .*does not exist: give/, {
      DATABASE_URL: database.url.replace(/@\/\w+\?/, '@/no_such_database?'),
    }),
    fails('user show x', 1, /DATABASE_URL is not a PostgreSQL URL/, { DATABASE_URL: 'localhost' }),
    fails('serve --port 0', 1, /DATABASE_URL: /, { DATABASE_URL: unreachable }),
    fails('serve', 1, /PORT is "x": give a port number/, { PORT: 'x' }),
    fails('serve --role boss', 1, /--role is "boss"/),
    fails('serve --port 0', 1, /FILMGATE_DATA_DIR: .*a-file.*: give a folder that can be written/, {
      FILMGATE_DATA_DIR: file,
    }),
    fails(
      'serve --port 0 --host 192.0.2.1',
      1,
      /HOST or PORT: .*192\.0\.2\.1.*: give an address of this machine/,
      { FILMGATE_LOG_LEVEL: 'silent' },
    ),
    fails(`serve --port ${port}`, 1, /PORT is taken by another program/, { FILMGATE_LOG_LEVEL: 'silent' }),
  ])
  const { stderr } = await filmgate('user show x', { DATABASE_URL: unreachable })
  assert.doesNotMatch(stderr, /hunter2/)
})

test('jobs are shown with what an operator asks for', async () => {
  const gateway = await startGateway({ databaseUrl: database.url, role: 'api' })
  const customer = await makeCustomer(database.pool)
  const { body } = await gateway.call('POST', '/v1/jobs/submit', {
    key: customer.key,
    body: seedBody(textToVideo),
  })
  const [job, list, few, human] = await Promise.all([
    json(`job show ${body.jobId}`),
    json('job list'),
    json('job list --limit 1'),
    filmgate('job list'),
  ])
  assert.deepEqual(
    [job.jobId, job.status, job.model, job.mode, job.userId, job.apiKeyId, job.requestId, job.costMicroCents],
    [body.jobId, 'pending', textToVideo, 'test', customer.userId, customer.keyId, body.requestId, 420_000],
  )
  assert.deepEqual(
    job.transfers.map((transfer: { kind: string; amountMicroCents: number }) => [
      transfer.kind,
      transfer.amountMicroCents,
    ]),
    [['charge', 420_000]],
  )
  assert.ok(!JSON.stringify(job).includes(customer.webhookSecret))
  assert.equal(list.jobs[0].jobId, body.jobId)
  assert.equal(few.jobs.length, 1)
  assert.match(human.stdout, new RegExp(`^${body.jobId} +pending +${textToVideo} +\\$0\\.42 `, 'm'))
})

test('ledger verify exits 0 while the books are in order, and 1 with the rows once they are not', async () => {
  const [good, human] = await Promise.all([json('ledger verify'), filmgate('ledger verify')])
  assert.equal(good.ok, true)
  assert.deepEqual(good.problems, [])
  assert.ok(good.totals.transfers > 0)
  assert.equal(human.code, 0)
  assert.match(human.stdout, /^The ledger is in order\.\n/)

  const own = await cloneDatabase()
  const customer = await makeCustomer(own.pool, { microCents: 1_000n })
  await own.pool.query('update accounts set balance_micro_cents = 1001 where id = $1', [customer.accountId])
  const [bad, told] = await Promise.all([
    filmgate('ledger verify --json', { DATABASE_URL: own.url }),
    filmgate('ledger verify', { DATABASE_URL: own.url }),
  ])
  assert.equal(bad.code, 1)
  const report = JSON.parse(bad.stdout)
  assert.equal(report.ok, false)
  assert.deepEqual(
    [report.problems.length, report.problems[0].row.user, report.problems[0].row.balance],
    [1, customer.userId, 1_001],
  )
  assert.equal(told.code, 1)
  assert.match(told.stdout, /^The ledger is NOT in order\.\n/)
  assert.match(told.stdout, new RegExp(`^broken: an account's balance .*${customer.userId}`, 'm'))
})

test('commands that start at once on an empty database all come up', async () => {
  const name = `empty_${process.pid}`
  await database.pool.query(`create database ${name}`)
  const url = database.url.replace(/@\/\w+\?/, `@/${name}?`)
  const outcomes = await Promise.all(
    ['a', 'b', 'c'].map((who) =>
      filmgate(`user create --email ${who}@example.com --json`, { DATABASE_URL: url }),
    ),
  )
  await database.pool.query(`drop database ${name} with (force)`)
  for (const { code, stderr } of outcomes) assert.deepEqual([code, stderr], [0, ''])
})

test('started by an older Node, filmgate runs on the one that npm installed', async (t) => {
  const paths = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((path) => path !== '' && !path.includes('node_modules'))
  const nodes = paths.map((path) => join(path, 'node')).filter((path) => existsSync(path))
  const versions = await Promise.all(nodes.map((node) => start(node, ['--version'])))
  const older = nodes.find((_, index) => Number(/^v(\d+)/.exec(versions[index]!.stdout)?.[1]) < 24)
  if (older === undefined) return t.skip('there is no older Node')
  const environment = { PATH: dirname(older) }
  const [version, unknown, missing] = await Promise.all([
    start(older, ['bin/filmgate.js', '--version'], environment),
    start(older, ['bin/filmgate.js', 'nonsense'], environment),
    start(older, ['bin/filmgate.js', 'user', 'show', 'nobody@example.com'], environment),
  ])
  assert.deepEqual([version.code, version.stderr], [0, ''])
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/)
  assert.equal(unknown.code, 2)
  assert.deepEqual([missing.code, missing.stderr], [1, 'filmgate: there is no user nobody@example.com\n'])
})
