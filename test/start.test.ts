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

/** A server with a channel to this process, as the wrapper of an older Node starts it. */
async function startServer(file: string, args: string[], options: { hasChannel: boolean }) {
  const child = spawn(file, args, {
    cwd: root,
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit', ...(options.hasChannel ? (['ipc'] as const) : [])],
  })
  atEnd(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  const { value } = await lines.next()
  return { child, line: value as string }
}

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
  const { child, line } = await startServer(oldNode, ['bin/filmgate.js', 'serve', '--port', '0'], {
    hasChannel: false,
  })
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
  const { child, line } = await startServer(process.execPath, ['src/main.ts', 'serve', '--role', 'worker'], {
    hasChannel: false,
  })
  assert.equal(line, 'filmgate ready on the queue, as a worker')
  child.kill('SIGTERM')
  assert.deepEqual(await once(child, 'exit'), [0, null])
  Object.assign(environment, { FILMGATE_HEALTH_PORT: '0' })
  const other = await startServer(process.execPath, ['src/main.ts', 'serve', '--role', 'worker'], {
    hasChannel: false,
  })
  const [, url] = /, health on (http:\S+)$/.exec(other.line) ?? []
  const health = await fetch(`${url}/health/ready`)
  assert.equal(health.status, 200, await health.text())
  assert.equal((await fetch(`${url}/v1/models`)).status, 404)
  other.child.kill('SIGTERM')
  assert.deepEqual(await once(other.child, 'exit'), [0, null])
})
