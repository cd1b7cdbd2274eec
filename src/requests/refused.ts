import type { Clock } from '../clock.ts'
import { type Db, storableJson } from '../db.ts'
import { repeat } from '../repeat.ts'

/** A request that was refused, or that failed. Never with its body, its query or its key. */
export interface RefusedRequest {
  requestId: string
  /** Null where the request could not be read so far. */
  method: string | null
  /** The pattern of the route; null where there is none for the address. */
  route: string | null
  status: number
  code: string | null
  message: string | null
  /** How long it took. */
  ms: number | null
  keyId: string | null
  userId: string | null
  address: string
}

export interface RefusedRequests {
  /** Keeps one, soon and beside everything else. */
  note(refused: RefusedRequest): void
  /** Writes what is still to be written. */
  stop(): Promise<void>
}

const writeEveryMs = 1_000
// A flood of refusals must cost next to nothing, and one address must not push out the refusals of all others.
const mostPerWrite = 100
const mostPerAddress = 20
const sayEveryMs = 60_000

/** How long they are kept, and how many at most. */
export const keptDays = 7
export const keptAtMost = 100_000

/**
 * Writes refused requests into the database in the background, once a second. What is too much, or comes while the database
 * is away, is left out, and the log says how many.
 */
export function keepRefused(
  { pool, clock, log }: { pool: Db; clock: Clock; log: { warn(fields: object, message: string): void } },
  everyMs = writeEveryMs,
): RefusedRequests {
  let waiting: (RefusedRequest & { at: Date })[] = []
  let perAddress = new Map<string, number>()
  let leftOut = 0
  let saidAtMs = Number.NEGATIVE_INFINITY
  let sweptAtMs = performance.now()

  const isDue = (sinceMs: number) => performance.now() - sinceMs >= sayEveryMs

  async function write(): Promise<void> {
    const rows = waiting
    waiting = []
    perAddress = new Map()
    if (rows.length > 0) {
      await insert(pool, rows).catch((error) => {
        leftOut += rows.length
        throw error
      })
    }
    if (leftOut > 0 && isDue(saidAtMs)) {
      log.warn({ requests: leftOut }, 'refused requests were not kept, since they were too many at once')
      saidAtMs = performance.now()
      leftOut = 0
    }
    if (!isDue(sweptAtMs)) return
    sweptAtMs = performance.now()
    await sweepRefused(pool)
  }

  const fail = (error: unknown) => {
    if (!isDue(saidAtMs)) return
    log.warn({ err: error, requests: leftOut }, 'refused requests could not be kept')
    saidAtMs = performance.now()
    leftOut = 0
  }
  const writes = repeat(everyMs, write, fail)
  return {
    note(refused) {
      const ofAddress = (perAddress.get(refused.address) ?? 0) + 1
      if (waiting.length >= mostPerWrite || ofAddress > mostPerAddress) {
        leftOut++
        return
      }
      perAddress.set(refused.address, ofAddress)
      waiting.push({ ...refused, at: clock.now() })
    },
    async stop() {
      await writes.stop()
      await write().catch(fail)
    },
  }
}

async function insert(db: Db, rows: object[]): Promise<void> {
  await db.query({
    name: 'keep-refused-requests',
    text: `
      insert into refused_requests
        (request_id, at, method, route, status, code, message, ms, api_key_id, user_id, address)
      select "requestId", at, method, route, status, code, message, ms, "keyId", "userId", address
      from json_to_recordset($1) as r("requestId" text, at timestamptz, method text, route text, status int, code text,
        message text, ms int, "keyId" text, "userId" text, address text)`,
    values: [storableJson(rows)],
  })
}

/** Deletes the oldest: what has been kept for long enough, and what is too much. */
export async function sweepRefused(db: Db, most = keptAtMost): Promise<void> {
  await db.query(
    `delete from refused_requests
     where at < filmgate_now() - $1 * interval '1 day'
       or number <= (select max(number) from refused_requests) - $2`,
    [keptDays, most],
  )
}
