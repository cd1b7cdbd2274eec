import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { test } from 'node:test'
import { isWellFormedKey } from '../src/accounts/keys.ts'
import { createPool } from '../src/db.ts'
import { atEnd } from './at-end.ts'
import { database, dataDir, fails, filmgate, json, start } from './command-line.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { seedBody, textToVideo } from './seeds.ts'

const commands = [
  'serve',
  'user create',
  'user credit',
  'user debit',
  'user show',
  'user list',
  'user status',
  'user limit',
  'user retention',
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
  'price markup',
  'price markup list',
  'price markup remove',
  'ledger verify',
  'margin',
  'job show',
  'job list',
  'job refund',
  'webhook secret',
  'webhook rotate-secret',
  'webhook schedule',
  'webhook test',
  'storage verify',
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
  const names = [
    ...new Set(commands.map((command) => command.split(' ')[0]!)),
    'models',
    'estimate',
    'submit',
  ]
  for (const name of names) assert.match(help.stdout, new RegExp(`^  ${name}\\b`, 'm'))
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
    'owedMicroCents',
    'retentionDays',
    'segments',
    'status',
    'testBalanceMicroCents',
    'testOwedMicroCents',
    'unknownOutcome',
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
    fails('key create --user a@b --expires 2027-01-31', 2, /is not a date with time and zone/),
    fails('key create --user a@b --expires 2026-02-30T00:00:00Z', 2, /is not in the calendar/),
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
      /HOST is "192\.0\.2\.1", which can't be listened on .*: give an address of this machine/,
      { FILMGATE_LOG_LEVEL: 'silent' },
    ),
    fails(`serve --port ${port}`, 1, new RegExp(`PORT ${port} is taken by another program`), {
      FILMGATE_LOG_LEVEL: 'silent',
    }),
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
    [
      job.jobId,
      job.status,
      job.model,
      job.mode,
      job.userId,
      job.apiKeyId,
      job.requestId,
      job.priceMicroCents,
    ],
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

test('a command makes no installation, neither in an own database nor in a folder', async (t) => {
  const name = `empty_${process.pid}`
  await database.pool.query(`create database ${name}`)
  const url = database.url.replace(/@\/\w+\?/, `@/${name}?`)
  const folder = await mkdtemp(join(tmpdir(), 'filmgate-elsewhere-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const commands = ['user list', 'ledger verify', 'storage verify', 'upstream list --no-check']
  for (const command of commands) {
    await fails(command, 1, /no filmgate data in the database empty_\d+ .*: start the server/, {
      DATABASE_URL: url,
      FILMGATE_DATA_DIR: join(folder, 'data'),
    })
    await fails(command, 1, /no filmgate data in \/.*: start the server here first \(npm start\)/, {
      DATABASE_URL: '',
      FILMGATE_DATA_DIR: join(folder, 'data'),
    })
  }
  assert.deepEqual(await readdir(folder), [])
  const empty = createPool({ connectionString: url }, { max: 1, onError() {} })
  const { rows } = await empty.query(
    "select count(*)::int as tables from pg_tables where schemaname = 'public'",
  )
  await empty.end()
  await database.pool.query(`drop database ${name} with (force)`)
  assert.deepEqual(rows, [{ tables: 0 }])
})

test('a folder with half an installation is none, and a command completes none', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'filmgate-half-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const nowhere = join(folder, 'nowhere')
  await mkdir(join(folder, 'files', 'files'), { recursive: true })
  await mkdir(join(folder, 'cluster', 'postgres', 'cluster'), { recursive: true })
  await mkdir(join(folder, 'moved'))
  await writeFile(join(folder, 'moved', 'postgres-location.txt'), `${nowhere}\nIt lies there.\n`)
  for (const half of ['files', 'cluster', 'moved']) {
    await fails('user list', 1, /no filmgate data in \/.*: start the server here first \(npm start\)/, {
      DATABASE_URL: '',
      FILMGATE_DATA_DIR: join(folder, half),
    })
  }
  assert.ok(!existsSync(nowhere))
})

test('every command says which database it uses, without its password', async () => {
  const { using } = await filmgate('user list')
  assert.match(using, /^filmgate: using the database test_\w+ of .* as filmgate \(DATABASE_URL\)\n$/)
  const password = decodeURIComponent(/:([^@]+)@/.exec(database.url)![1]!.split(':').at(-1)!)
  const { using: other } = await filmgate('user list', {
    DATABASE_URL: `postgres://ada:hunter2@127.0.0.1:1/films?password=hunter2`,
  })
  assert.equal(other, 'filmgate: using the database films of 127.0.0.1:1 as ada (DATABASE_URL)\n')
  assert.ok(!using.includes(password))
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
