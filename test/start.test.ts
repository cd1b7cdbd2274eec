import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, open, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { atEnd } from './at-end.ts'
import { cloneDatabase } from './database.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')
const database = await cloneDatabase()
const dataDir = await mkdtemp(join(tmpdir(), 'filmgate-start-'))
atEnd(() => rm(dataDir, { recursive: true, force: true }))
const environment = {
  PATH: process.env.PATH,
  DATABASE_URL: database.url,
  FILMGATE_DATA_DIR: dataDir,
  FILMGATE_LOG_LEVEL: 'warn',
}
const oldNode = await findOldNode()

/** A Node that can't read TypeScript, where this machine has one. */
async function findOldNode(): Promise<string | undefined> {
  const places = (process.env.PATH ?? '').split(':').map((folder) => join(folder, 'node'))
  for (const place of places) {
    if (!existsSync(place)) continue
    const { stdout } = await run(place, ['-p', 'process.versions.node'])
    const major = Number(stdout.split('.')[0])
    if (major >= 20 && major < 24) return place
  }
  return undefined
}

/** A server, which may have a channel to this process, as the wrapper of an older Node gives it one. */
async function startServer(
  file: string,
  args: string[],
  { hasChannel = false, settings = {} }: { hasChannel?: boolean; settings?: Record<string, string> } = {},
) {
  const child = spawn(file, args, {
    cwd: root,
    env: { ...environment, ...settings },
    stdio: ['ignore', 'pipe', 'pipe', ...(hasChannel ? (['ipc'] as const) : [])],
  })
  atEnd(() => child.kill('SIGKILL'))
  const log: string[] = []
  createInterface({ input: child.stderr! }).on('line', (line) => log.push(line))
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  const { value } = await lines.next()
  return { child, line: value as string, log }
}

const serve = ['src/main.ts', 'serve', '--port', '0']

test('a server whose wrapper is gone drains and ends', async () => {
  const { child, line } = await startServer(process.execPath, ['src/main.js', 'serve', '--port', '0'], {
    hasChannel: true,
  })
  assert.match(line, /^filmgate ready on http/)
  child.disconnect()
  const [code] = await once(child, 'exit')
  assert.equal(code, 0)
})

test('after kill -9 of the wrapper no server is left', async (t) => {
  if (oldNode === undefined) return t.skip('there is no Node 20 to 23 on PATH')
  const { child, line } = await startServer(oldNode, ['bin/filmgate.js', 'serve', '--port', '0'])
  const url = line.replace('filmgate ready on ', '')
  assert.equal((await fetch(`${url}/health/live`)).status, 200)
  child.kill('SIGKILL')
  await once(child.stdout!, 'close')
  await assert.rejects(fetch(`${url}/health/live`))
})

test('an older Node that is given the TypeScript says what to do', async (t) => {
  if (oldNode === undefined) return t.skip('there is no Node 20 to 23 on PATH')
  const { code, stderr } = await run(oldNode, ['src/main.ts', 'serve'], { cwd: root, env: environment }).then(
    () => ({ code: 0, stderr: '' }),
    (error) => error,
  )
  assert.equal(code, 1)
  assert.match(stderr, /^filmgate needs Node 24 or newer; this is v2[0-3].*run "npm start"/)
})

async function refused(args: string[], settings: Record<string, string>) {
  const { code, stdout, stderr } = await run(process.execPath, ['src/main.ts', 'serve', ...args], {
    cwd: root,
    env: { ...environment, ...settings },
    timeout: 20_000,
  }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error) => error,
  )
  assert.equal(code, 1, stderr)
  assert.equal(stdout, '')
  assert.match(stderr, /^filmgate: .*\n$/, 'it is not one line')
  return stderr
}

test('a data folder that can not be made is refused in seconds, by the name of the setting', async () => {
  const file = join(dataDir, 'a-file')
  const link = join(dataDir, 'a-link')
  await writeFile(file, 'no folder')
  await symlink(join(dataDir, 'nowhere'), link)
  for (const place of ['/proc/x/y', file, link]) {
    const line = await refused(['--port', '0'], { FILMGATE_DATA_DIR: place })
    assert.match(line, /^filmgate: FILMGATE_DATA_DIR: .*: give a folder that can be written$/m, place)
  }
})

test('a port that is taken and a host that is not here are named before anything is made', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  const unused = join(dataDir, 'unused')
  const settings = { FILMGATE_DATA_DIR: unused }
  for (const [args, more, message] of [
    [['--port', String(port)], {}, `PORT ${port} is taken by another program`],
    [[], { PORT: String(port) }, `PORT ${port} is taken by another program`],
    [['--role', 'worker'], { FILMGATE_HEALTH_PORT: String(port) }, `FILMGATE_HEALTH_PORT ${port} is taken`],
    [['--port', '0'], { HOST: '192.0.2.7' }, 'HOST is "192.0.2.7", which can\'t be listened on'],
    [['--port', '0'], { HOST: 'nohost.invalid' }, 'HOST is "nohost.invalid", which is not a known name'],
  ] as const) {
    const line = await refused([...args], { ...settings, ...more })
    assert.ok(line.startsWith(`filmgate: ${message}`), line)
  }
  assert.ok(!existsSync(unused))
  taken.close()
})

test('a worker answers for its health on the port that its ready line names', async () => {
  const { child, line } = await startServer(process.execPath, ['src/main.ts', 'serve', '--role', 'worker'])
  assert.equal(line, 'filmgate ready on the queue, as a worker')
  child.kill('SIGTERM')
  assert.deepEqual(await once(child, 'exit'), [0, null])
  Object.assign(environment, { FILMGATE_HEALTH_PORT: '0' })
  const other = await startServer(process.execPath, ['src/main.ts', 'serve', '--role', 'worker'])
  const [, url] = /, health on (http:\S+)$/.exec(other.line) ?? []
  const health = await fetch(`${url}/health/ready`)
  assert.equal(health.status, 200, await health.text())
  assert.equal((await fetch(`${url}/v1/models`)).status, 404)
  other.child.kill('SIGTERM')
  assert.deepEqual(await once(other.child, 'exit'), [0, null])
})

test('at start the log says how many connections will be needed, and which models sell below cost', async () => {
  const settings = { FILMGATE_LOG_LEVEL: 'info', KLING_API_KEY: 'none', KLING_BASE_URL: 'http://127.0.0.1:9' }
  const { child, log } = await startServer(process.execPath, serve, { settings })
  const entries = log.map((line) => JSON.parse(line))
  const connections = entries.find(({ msg }) => / database connections will be needed/.test(msg))
  assert.deepEqual([connections.level, connections.needed], [30, 38])
  assert.ok(connections.left >= 38 && connections.left <= connections.most)
  const losses = entries.find(({ msg }) => /sell below the list price of kling/.test(msg))
  assert.equal(losses.level, 40)
  const { stdout } = await run(process.execPath, ['src/main.ts', 'margin', '--upstream', 'kling', '--json'], {
    cwd: root,
    env: environment,
  })
  const { margins } = JSON.parse(stdout)
  const below = margins.filter(
    ({ byDefault }: { byDefault: { priceMicroCents: number; costMicroCents: number | null } }) =>
      byDefault.costMicroCents !== null && byDefault.costMicroCents > byDefault.priceMicroCents,
  )
  assert.ok(below.length > 0)
  assert.deepEqual([losses.models, losses.of], [below.length, margins.length])
  assert.match(
    losses.msg,
    /^\d+ of \d+ models .* the worst is kling\/\S+: cost \$\d+\.\d\d, price \$0\.\d\d\./,
  )
  child.kill('SIGTERM')
  await once(child, 'exit')
})

test('a PostgreSQL that takes fewer connections than will be needed is warned of at start', async () => {
  const { rows } = await database.pool.query('select current_database() as name')
  await database.pool.query(`alter database ${rows[0].name} connection limit 30`)
  const { child, log } = await startServer(process.execPath, [...serve, '--role', 'all'])
  const found = log.map((line) => JSON.parse(line)).find(({ needed }) => needed !== undefined)
  assert.equal(found?.level, 40, log.join('\n'))
  assert.match(found.msg, /^up to 38 .* needed, and the server has \d+ left: raise max_connections/)
  assert.equal(found.most, 30)
  await database.pool.query(`alter database ${rows[0].name} connection limit -1`)
  child.kill('SIGTERM')
  await once(child, 'exit')
})

test('a server drains when its terminal closes, and ends though its log can not be written', async (t) => {
  if (!existsSync('/dev/full')) return t.skip('there is no /dev/full')
  const full = await open('/dev/full', 'w')
  const child = spawn(process.execPath, serve, {
    cwd: root,
    env: { ...environment, FILMGATE_LOG_LEVEL: 'info' },
    stdio: ['ignore', 'pipe', full.fd],
  })
  atEnd(() => child.kill('SIGKILL'))
  await once(createInterface({ input: child.stdout! }), 'line')
  child.kill('SIGHUP')
  assert.deepEqual(await once(child, 'exit'), [0, null])
  await full.close()
})

test('a command whose answer can not be written says so and exits 1', async (t) => {
  if (!existsSync('/dev/full')) return t.skip('there is no /dev/full')
  const full = await open('/dev/full', 'w')
  const child = spawn(process.execPath, ['src/main.ts', 'user', 'list', '--json'], {
    cwd: root,
    env: environment,
    stdio: ['ignore', full.fd, 'pipe'],
  })
  let said = ''
  child.stderr!.setEncoding('utf8').on('data', (text) => {
    said += text
  })
  const [code] = await once(child, 'close')
  assert.equal(code, 1)
  assert.match(said, /^filmgate: the answer could not be written: .*ENOSPC/m)
  await full.close()
})
