import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
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

test('a data folder that can not be made is refused in seconds', async () => {
  const { code, stderr } = await run(process.execPath, ['src/main.ts', 'serve', '--port', '0'], {
    cwd: root,
    env: { ...environment, FILMGATE_DATA_DIR: '/proc/x' },
    timeout: 20_000,
  }).then(
    () => ({ code: 0, stderr: '' }),
    (error) => error,
  )
  assert.equal(code, 1)
  assert.match(stderr, /FILMGATE_DATA_DIR/)
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
