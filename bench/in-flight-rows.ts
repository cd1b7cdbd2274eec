import type pg from 'pg'
import { loadCatalogue } from '../src/catalogue/load.ts'
import { newId } from '../src/ids.ts'
import { fitDurations, pollDelayMs } from '../src/jobs/poll-schedule.ts'
import { charge } from '../src/ledger/ledger.ts'
import { type Random, seededRandom } from '../src/providers/sandbox/random.ts'
import type { Customer } from './server.ts'

/** The simulated upstream, as the jobs' rows name it. */
export const upstreamName = 'simulated'
/** As many jobs as a call may ask it about. */
export const pollBatch = 20

const models = [...loadCatalogue().models.values()]
const learntFrom = 200
const costMicroCents = 420_000n
const input = {
  prompt: 'A neon-lit Tokyo street at night with rain reflecting the storefront signs',
  aspect_ratio: '16:9',
  duration: '5',
  has_sound: 'false',
}

/** How long jobs take: log-normal around the catalogue's figures, times `stretch`. */
export interface Load {
  stretch: number
  sigma: number
}

/** One job that an upstream has had for a while, or gets in a while. */
export interface Flight {
  jobId: string
  modelSlug: string
  acceptedAtMs: number
  doneAtMs: number
}

/** A stream of jobs that keeps so many in flight from `nowMs` on, for `forMs`: those of it that are not done before. */
export function makeFlights(
  { stretch, sigma }: Load,
  { inFlight, nowMs, forMs }: { inFlight: number; nowMs: number; forMs: number },
): Flight[] {
  const random = seededRandom(5, 'in flight')
  const meansMs = models.map(({ processingSeconds }) => stretch * meanOf(processingSeconds * 1000, sigma))
  const everyMs = meansMs.reduce((sum, ms) => sum + ms, 0) / models.length / inFlight
  const oldestMs = 3 * Math.max(...meansMs)
  const flights: Flight[] = []
  for (let startMs = -oldestMs, turn = 0; startMs < forMs; startMs += everyMs) {
    const { slug, processingSeconds } = models[turn++ % models.length]!
    const acceptedAtMs = nowMs + startMs
    const doneAtMs = acceptedAtMs + stretch * drawMs(random, processingSeconds * 1000, sigma)
    if (doneAtMs > nowMs) {
      flights.push({ jobId: newId('job', new Date(acceptedAtMs)), modelSlug: slug, acceptedAtMs, doneAtMs })
    }
  }
  return flights
}

function meanOf(medianMs: number, sigma: number): number {
  return medianMs * Math.exp(sigma ** 2 / 2)
}

function drawMs(random: Random, medianMs: number, sigma: number): number {
  return (
    medianMs * Math.exp(sigma * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()))
  )
}

/** What was learnt before: as many finished jobs of each model as count. */
export async function writeLearnt(
  pool: pg.Pool,
  { stretch, sigma }: Load,
  customers: Customer[],
): Promise<void> {
  const random = seededRandom(6, 'learnt')
  const nowMs = Date.now()
  const learnt = models.flatMap(({ slug, processingSeconds }) =>
    Array.from({ length: learntFrom }, () => {
      const doneAtMs = nowMs - 60_000 * random()
      const acceptedAtMs = doneAtMs - stretch * drawMs(random, processingSeconds * 1000, sigma)
      return { jobId: newId('job', new Date(acceptedAtMs)), modelSlug: slug, acceptedAtMs, doneAtMs }
    }),
  )
  await write(pool, learnt, customers, 'completed')
}

/** The rows of jobs in flight as submit and dispatch leave them, each due when it would be asked about next. */
export async function writeFlights(
  pool: pg.Pool,
  { stretch, sigma }: Load,
  { flights, nowMs }: { flights: Flight[]; nowMs: number },
  customers: Customer[],
): Promise<void> {
  await write(pool, flights, customers, 'processing')
  const medians = new Map(models.map(({ slug, processingSeconds }) => [slug, processingSeconds * 1000]))
  const polls = flights.map(({ jobId, modelSlug, acceptedAtMs }) => {
    const medianMs = stretch * medians.get(modelSlug)!
    const durations = { ...fitDurations([], medianMs), sigma }
    let [elapsedMs, asked] = [pollDelayMs(durations, 0, pollBatch), 0]
    for (; acceptedAtMs + elapsedMs < nowMs; asked++)
      elapsedMs += pollDelayMs(durations, elapsedMs, pollBatch)
    return { jobId, dueAt: new Date(acceptedAtMs + elapsedMs), asked }
  })
  for (const part of parts(polls)) {
    await pool.query(
      `insert into polls (job_id, provider, due_at, asked)
       select id, $4, due, asked from unnest($1::text[], $2::timestamptz[], $3::int[]) as poll (id, due, asked)`,
      [
        part.map(({ jobId }) => jobId),
        part.map(({ dueAt }) => dueAt),
        part.map(({ asked }) => asked),
        upstreamName,
      ],
    )
  }
}

async function write(
  pool: pg.Pool,
  flights: Flight[],
  customers: Customer[],
  status: 'processing' | 'completed',
): Promise<void> {
  let turn = 0
  for (const part of parts(flights)) {
    const accounts = part.map(() => customers[turn++ % customers.length]!.accountId)
    const ids = part.map(({ jobId }) => jobId)
    const acceptedAt = part.map(({ acceptedAtMs }) => new Date(acceptedAtMs))
    const doneAt = part.map(({ doneAtMs }) => new Date(doneAtMs))
    await pool.query(
      `insert into jobs (id, account_id, api_key_id, request_id, model_slug, model_version, provider, input,
         cost_micro_cents, created_at, estimated_completion_at, status, dispatched_at, deadline_at, completed_at)
       select id, account, 'key_bench', 'req_bench', model, 'v1.0', $5, $6, $7, accepted, done, $8::job_status, accepted,
         done + interval '1 day', case when $8 = 'completed' then done end
       from unnest($1::text[], $2::bigint[], $3::text[], $4::timestamptz[], $9::timestamptz[])
         as job (id, account, model, accepted, done)`,
      [
        ids,
        accounts,
        part.map(({ modelSlug }) => modelSlug),
        acceptedAt,
        upstreamName,
        JSON.stringify(input),
        costMicroCents,
        status,
        doneAt,
      ],
    )
    await charge(
      pool,
      ids.map((jobId, index) => ({ jobId, accountId: accounts[index]!, amountMicroCents: costMicroCents })),
    )
    await pool.query(
      `insert into attempts (id, job_id, number, provider, model_slug, process_id, idempotency_key, status, operation,
         started_at, answered_at, finished_at)
       select 'att_' || id, id, 1, $3, model, 'bench', id, 'accepted', jsonb_build_object('id', id, 'doneAtMs', done_ms,
           'tookMs', 1000 * extract(epoch from done - accepted)),
         accepted, accepted, case when $6 = 'completed' then done end
       from unnest($1::text[], $2::text[], $4::timestamptz[], $5::timestamptz[], $7::float8[])
         as job (id, model, accepted, done, done_ms)`,
      [
        ids,
        part.map(({ modelSlug }) => modelSlug),
        upstreamName,
        acceptedAt,
        doneAt,
        status,
        part.map(({ doneAtMs }) => doneAtMs),
      ],
    )
    await pool.query(
      `insert into job_events (job_id, at, kind, from_status, to_status, detail)
       select id, at, kind::job_event_kind, before::job_status, after::job_status, detail
       from unnest($1::text[], $2::timestamptz[]) as job (id, at) cross join (values
         ('submitted', null, null, null),
         ('processing', 'pending', 'processing', null),
         ('attempt_sent', null, null, jsonb_build_object('attempt', 1, 'provider', $3::text)),
         ('attempt_accepted', null, null, null)) as event (kind, before, after, detail)`,
      [ids, acceptedAt, upstreamName],
    )
  }
}

function* parts<T>(rows: T[]): Generator<T[]> {
  for (let at = 0; at < rows.length; at += 5_000) yield rows.slice(at, at + 5_000)
}
