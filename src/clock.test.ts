import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { cloneDatabase } from '../test/database.ts'
import { until } from '../test/until.ts'
import { clockFault, createDatabaseClock, databaseTime, systemClock } from './clock.ts'
import type { Db } from './db.ts'

const { pool } = await cloneDatabase()
const hourMs = 3_600_000

function logger() {
  const lines: { level: number; msg: string }[] = []
  return { lines, log: pino({ level: 'info' }, { write: (line) => lines.push(JSON.parse(line)) }) }
}

/** A database whose clock is this far from the machine's, and which answers late. */
function databaseAt(options: { aheadMs: number; delayMs?: () => number; isAway?: boolean }): Db {
  const query = async () => {
    const delayMs = options.delayMs?.() ?? 0
    await sleep(delayMs / 2)
    if (options.isAway) throw new Error('the database is away')
    const now = new Date(Date.now() + options.aheadMs)
    await sleep(delayMs / 2)
    return { rows: [{ now }] }
  }
  return { query } as unknown as Db
}

async function following(db: Db) {
  const { log, lines } = logger()
  const clock = createDatabaseClock(log)
  await clock.follow(db)
  return { clock, lines, [Symbol.asyncDispose]: () => clock.stop() }
}

test("the clock shows the database's time, whatever the process's own is", async () => {
  for (const aheadMs of [-48 * hourMs, -2 * hourMs, 0, 2 * hourMs, 48 * hourMs]) {
    await using started = await following(databaseAt({ aheadMs }))
    const { clock } = started
    assert.ok(Math.abs(clock.now().getTime() - Date.now() - aheadMs) < 50)
    assert.ok(Math.abs(clock.offsetMs() + aheadMs) < 50)
  }
})

test('of several measures the one that was answered soonest counts', async () => {
  const delays = [400, 0, 200]
  await using started = await following(databaseAt({ aheadMs: hourMs, delayMs: () => delays.shift() ?? 0 }))
  assert.ok(Math.abs(started.clock.offsetMs() + hourMs) < 50)
})

test('it follows PostgreSQL, in which a setting moves the time', async () => {
  const client = await pool.connect()
  await client.query("set filmgate.clock_shift = '-2 days'")
  await using started = await following(client)
  const { clock } = started
  assert.ok(Math.abs(clock.now().getTime() - (await databaseTime(client)).getTime()) < 500)
  assert.ok(Math.abs(clock.offsetMs() - 48 * hourMs) < 500)
  client.release(true)
})

test("a step of the machine's clock moves no time, and is said; the next measure changes nothing", async (t) => {
  await using started = await following(pool)
  const { clock } = started
  const before = clock.now().getTime()
  const own = Date.now
  t.after(() => {
    Date.now = own
  })
  Date.now = () => own() + 48 * hourMs
  assert.ok(clock.now().getTime() - before < 1_000)
  assert.match(
    clockFault(clock)!,
    /^the clock of this process is (?:2 d 0 h|1 d 23 h) ahead of the database's$/,
  )
  Date.now = own
  assert.equal(clockFault(clock), undefined)
})

test('while the database is away the clock goes on, and follows it when it is back with another time', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const database = { aheadMs: hourMs, isAway: false }
  await using started = await following(databaseAt(database))
  const { clock, lines } = started
  database.isAway = true
  t.mock.timers.tick(5_000)
  await sleep(20)
  assert.ok(Math.abs(clock.offsetMs() + hourMs) < 50)
  Object.assign(database, { isAway: false, aheadMs: 0 })
  t.mock.timers.tick(5_000)
  await until(() => Math.abs(clock.offsetMs()) < 50)
  assert.equal(clockFault(clock), undefined)
  assert.deepEqual(
    lines.map(({ level, msg }) => [level, msg.split(';')[0]]),
    [
      [40, "the clock of this process is 1 h 0 min behind the database's"],
      [30, "the clock of this process agrees with the database's again"],
    ],
  )
})

test('a clock that is off is said once, and again only when it is off by another time', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const database = { aheadMs: 0 }
  await using started = await following(databaseAt(database))
  const { clock, lines } = started
  for (const aheadMs of [4_000, -7_000, -7_500, -7_000, -190_000]) {
    database.aheadMs = aheadMs
    t.mock.timers.tick(5_000)
    await until(() => Math.abs(clock.offsetMs() + aheadMs) < 50)
  }
  assert.deepEqual(
    lines.map(({ msg }) => msg.split(';')[0]),
    [
      "the clock of this process is 7 s ahead of the database's",
      "the clock of this process is 3 min 10 s ahead of the database's",
    ],
  )
})

test('a clock that has not asked a database tells no time, and the clock of the process has no fault', () => {
  assert.throws(() => createDatabaseClock(logger().log).now(), /not been asked/)
  assert.equal(clockFault(systemClock), undefined)
})
