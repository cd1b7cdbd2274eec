import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { database, filmgate, json } from './command-line.ts'
import { startGateway } from './gateway.ts'

test('the doctor says that no worker is alive, and finds all well once one is', async () => {
  const before = await json('doctor')
  assert.deepEqual([before.status, before.checks.workers, before.servers], ['degraded', 'degraded', []])
  assert.match(before.reasons.join(), /no worker is alive/)
  await startGateway({ databaseUrl: database.url })
  const after = await json('doctor')
  assert.deepEqual([after.status, after.reasons], ['ok', []])
  assert.equal(after.servers[0].pid, process.pid)
  const { code, stdout } = await filmgate('doctor')
  assert.equal(code, 0)
  assert.match(stdout, /^All is well\.$/m)
  assert.match(stdout, /^clock +ok$/m)
})

test('the doctor says by how much the clock of its machine is off', async () => {
  const shift = join(import.meta.dirname, 'shifted-clock.ts')
  const { stdout } = await filmgate('doctor --json', {
    NODE_OPTIONS: `--import=${shift}`,
    CLOCK_SHIFT_MS: String(2 * 3_600_000),
  })
  const { status, checks, reasons } = JSON.parse(stdout)
  assert.deepEqual([status, checks.clock], ['degraded', 'degraded'])
  assert.match(reasons.join(), /2 h 0 min ahead/)
})

test('a disk below its reserve is said by the doctor, who exits 1', async () => {
  const { code, stdout } = await filmgate('doctor --json', { FILMGATE_MIN_FREE_DISK: '1000000GB' })
  const { status, checks } = JSON.parse(stdout)
  assert.deepEqual([code, status, checks.disk], [1, 'unavailable', 'failed'])
})
