// Started by a test with a clock that is off: one sweep, and what else of a worker judges the age of things.
import { pino } from 'pino'
import { createDatabaseClock } from '../src/clock.ts'
import { createPool } from '../src/db.ts'
import { sweep } from '../src/jobs/sweep.ts'
import { freeTasksOfDead } from '../src/queue/heartbeat.ts'
import { createLocalStorage } from '../src/storage/local.ts'

const [connectionString, directory, temporaryDirectory] = process.argv.slice(2) as [string, string, string]
const log = pino({ level: 'error' }, pino.destination(2))
const pool = createPool({ connectionString }, { max: 4, onError() {} })
const clock = createDatabaseClock(log)
await clock.follow(pool)
const storage = await createLocalStorage({ directory })
await sweep({ pool, storage, clock, log, providers: [], temporaryDirectory })
await freeTasksOfDead(pool, 15_000)
await clock.stop()
await pool.end()
