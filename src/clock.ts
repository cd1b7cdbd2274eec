import type { Logger } from 'pino'
import type { Db } from './db.ts'

/** The time of day, passed in wherever a rule depends on it so that tests can set it. */
export interface Clock {
  now(): Date
  /** How far the clock of this process is ahead of it, in ms; absent where it is that clock. */
  offsetMs?(): number
}

/** The clock of this process: for no decision, as processes differ in it. */
export const systemClock: Clock = { now: () => new Date() }

/** A clock that shows the database's time, once it follows a database. */
export interface DatabaseClock extends Clock {
  offsetMs(): number
  /** Measures how far the clock of this process is off, now and from then on; the caller stops it. */
  follow(db: Db): Promise<void>
  stop(): Promise<void>
}

const measureEveryMs = 5_000
const measuresAtOnce = 3
/** How far the clock of a process may be off without a word. */
const toleratedMs = 5_000

/**
 * Makes a clock that shows the database's time. It counts on from its last measure by the monotonic clock, which nobody
 * sets: a step of the machine's clock moves only `offsetMs`. While the database is away it counts on the same way.
 */
export function createDatabaseClock(log: Logger): DatabaseClock {
  let known: Measure | undefined
  let timer: NodeJS.Timeout | undefined
  let measuring: Promise<void> | undefined
  const tell = createTell(log)

  const presentMs = () => {
    if (known === undefined) throw new Error('the database has not been asked for the time yet')
    return known.originMs + performance.now()
  }
  const offsetMs = () => (known === undefined ? 0 : Date.now() - presentMs())
  const take = (measured: Measure) => {
    // the clock is better than a measure that it agrees with: the error of each is its own
    const isKnown = known !== undefined && Math.abs(measured.originMs - known.originMs) <= measured.errorMs
    if (!isKnown) known = measured
    tell(offsetMs())
  }
  const remeasure = (db: Db) => {
    measuring ??= measure(db)
      // without an answer only the machine's clock can have changed
      .then(take, () => tell(offsetMs()))
      .finally(() => {
        measuring = undefined
      })
  }
  return {
    now: () => new Date(presentMs()),
    offsetMs,
    async follow(db) {
      take(await measure(db))
      timer = setInterval(() => remeasure(db), measureEveryMs).unref()
    },
    async stop() {
      clearInterval(timer)
      await measuring
    },
  }
}

interface Measure {
  /** The database's time at 0 of the monotonic clock. */
  originMs: number
  errorMs: number
}

/** The answer that came soonest errs least: the database's time lies somewhere between question and answer. */
async function measure(db: Db): Promise<Measure> {
  let best: Measure | undefined
  for (let made = 0; made < measuresAtOnce; made++) {
    const askedMs = performance.now()
    const databaseMs = (await databaseTime(db)).getTime()
    const answeredMs = performance.now()
    // and 1 ms for the part of it that a Date leaves out
    const errorMs = (answeredMs - askedMs) / 2 + 1
    if (best === undefined || errorMs < best.errorMs) {
      best = { originMs: databaseMs - (askedMs + answeredMs) / 2, errorMs }
    }
  }
  return best!
}

/** The time by the database's clock, for what asks once. */
export async function databaseTime(db: Db): Promise<Date> {
  const { rows } = await db.query<{ now: Date }>('select filmgate_now() as now')
  return rows[0]!.now
}

/** What is wrong with the clock of this process, in words for the operator; undefined where nothing is. */
export function clockFault(clock: Clock): string | undefined {
  return faultOf(clock.offsetMs?.() ?? 0)
}

function faultOf(ms: number): string | undefined {
  if (Math.abs(ms) <= toleratedMs) return undefined
  return `the clock of this process is ${inWords(Math.abs(ms))} ${ms > 0 ? 'ahead of' : 'behind'} the database's`
}

/** Logs once that the clock is off, again where that has changed, and once that it is right again. */
function createTell(log: Logger): (offsetMs: number) => void {
  let toldMs = 0
  return (offsetMs) => {
    const fault = faultOf(offsetMs)
    const about = { offsetMs: Math.round(offsetMs) }
    if (fault !== undefined && Math.abs(offsetMs - toldMs) > toleratedMs) {
      toldMs = offsetMs
      log.warn(
        about,
        `${fault}; the database's counts, and the times in this log are the process's: set the clocks of both machines right`,
      )
    }
    if (fault === undefined && toldMs !== 0) {
      toldMs = 0
      log.info(about, "the clock of this process agrees with the database's again")
    }
  }
}

function inWords(ms: number): string {
  const seconds = Math.round(ms / 1000)
  const units: [string, number][] = [
    ['d', 86_400],
    ['h', 3_600],
    ['min', 60],
    ['s', 1],
  ]
  const first = units.findIndex(([, size]) => seconds >= size)
  return units
    .slice(first, first + 2)
    .map(([name, size], index) => {
      const rest = index === 0 ? seconds : seconds % units[first]![1]
      return `${Math.floor(rest / size)} ${name}`
    })
    .join(' ')
}
