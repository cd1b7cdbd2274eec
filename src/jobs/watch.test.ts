import assert from 'node:assert/strict'
import { test } from 'node:test'
import type pg from 'pg'
import { cloneDatabase } from '../../test/database.ts'
import { until } from '../../test/until.ts'
import type { Db } from '../db.ts'
import { ApiError } from '../errors.ts'
import { tellSubmitted } from './life.ts'
import { createJobWatch, type Watcher } from './watch.ts'

const { pool } = await cloneDatabase()
const quiet = { warn() {} }
const long = 60_000

/** The pool, with a look at what is asked of it; `isAway` refuses. */
function observed() {
  const seen = { isAway: false, asked: [] as string[][] }
  const query = (asked: pg.QueryConfig<[string[], bigint[]]>) => {
    seen.asked.push(asked.values![0])
    return seen.isAway ? Promise.reject(new Error('connect ECONNREFUSED')) : pool.query(asked)
  }
  return { seen, db: { query } as unknown as Db }
}

function place(joined: Watcher | ApiError): Watcher {
  assert.ok(!(joined instanceof ApiError), String(joined))
  return joined
}

let jobs = 0
const newJob = () => `job_watched_${++jobs}`
const tell = (...jobIds: string[]) =>
  tellSubmitted(
    pool,
    jobIds.map((jobId) => ({ jobId, createdAt: new Date() })),
  )

test('one question asks for all who watch, and each gets the events of its own job', async () => {
  const { seen, db } = observed()
  const watch = createJobWatch(db, quiet)
  const jobIds = Array.from({ length: 60 }, newJob)
  const watchers = jobIds.map((_, index) => place(watch.join(BigInt(index))))
  assert.equal(seen.asked.length, 0, 'something was asked though nobody waited')
  const waiting = watchers.map((watcher, index) => watcher.next(jobIds[index]!, 0n, long))
  await until(() => seen.asked.some((asked) => asked.length === 60))
  await tell(...jobIds)
  const got = await Promise.all(waiting)
  assert.ok(got.every((events) => events.length === 1 && events[0]!.event === 'submitted'))
  assert.equal(new Set(got.map(([event]) => event!.id)).size, 60)
})

test('many who watch one job at different places get what each has not seen', async () => {
  const watch = createJobWatch(pool, quiet)
  const [jobId, other] = [newJob(), newJob()]
  for (let count = 0; count < 3; count++) await tell(jobId, other)
  const watcher = place(watch.join(1n))
  const all = await watcher.next(jobId, 0n, long)
  assert.equal(all.length, 3)
  const rest = await Promise.all(all.slice(0, 2).map(({ id }) => watcher.next(jobId, id, long)))
  assert.deepEqual(rest, [all.slice(1), all.slice(2)])
})

test('who waits is let go when the time is over, on leaving, and when the server stops; nothing is asked after that', async () => {
  const { seen, db } = observed()
  const watch = createJobWatch(db, quiet)
  const [impatient, leaving, staying] = [1n, 2n, 3n].map((account) => place(watch.join(account)))
  assert.deepEqual(await impatient!.next(newJob(), 0n, 1), [])
  const waiting = [leaving!.next(newJob(), 0n, long), staying!.next(newJob(), 0n, long)]
  leaving!.leave()
  watch.stop()
  assert.deepEqual(await Promise.all(waiting), [[], []])
  const { length } = seen.asked
  assert.deepEqual(await staying!.next(newJob(), 0n, long), [])
  const late = place(watch.join(4n))
  assert.ok(late.signal.aborted)
  assert.deepEqual(await late.next(newJob(), 0n, long), [])
  assert.equal(seen.asked.length, length)
})

test('a database that is away for a while only delays', async () => {
  const { seen, db } = observed()
  const warnings: string[] = []
  const watch = createJobWatch(db, { warn: (_, message) => warnings.push(message) })
  seen.isAway = true
  const jobId = newJob()
  const waiting = place(watch.join(1n)).next(jobId, 0n, long)
  await until(() => seen.asked.length >= 2)
  await tell(jobId)
  seen.isAway = false
  assert.equal((await waiting).length, 1)
  assert.ok(warnings.length >= 2)
})

test('an account, and all accounts together, have so many places; one that is left is free', () => {
  const watch = createJobWatch(pool, quiet, { inAll: 3, perAccount: 2 })
  const refused = (account: bigint, message: RegExp) => {
    const joined = watch.join(account)
    assert.ok(joined instanceof ApiError)
    assert.equal(joined.code, 'RATE_LIMIT_EXCEEDED')
    assert.match(joined.message, message)
  }
  const first = place(watch.join(1n))
  place(watch.join(1n))
  refused(1n, /This account watches 2 jobs already/)
  const third = place(watch.join(2n))
  refused(3n, /this server/)
  third.leave()
  third.leave()
  place(watch.join(3n))
  refused(4n, /this server/)
  first.leave()
  place(watch.join(1n))
  refused(1n, /This account/)
})
