import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'
import type { Model, ModelVersion } from '../catalogue/load.ts'
import { isUnavailable, transaction } from '../db.ts'
import { isNoSpace } from '../disk.ts'
import { durable } from '../fault-points.ts'
import type { Mode } from '../ledger/ledger.ts'
import type { JobDescription, Json } from '../providers/provider.ts'
import { addTask, dispatchKey } from '../queue/tasks.ts'
import { loseAttempt } from './attempts.ts'
import { chooseRoute, type RouteChoice, refusalOf } from './choose-route.ts'
import { cleanMedia, type MediaChange } from './clean-media.ts'
import type { JobContext } from './context.ts'
import { firstRun, isHopeless, type Run, restMs } from './cut-offs.ts'
import { fetchInputs } from './inputs.ts'
import { lendMedia } from './lend-media.ts'
import { changeStatus, noteTrouble, tell } from './life.ts'
import { makeReady } from './make-ready.ts'
import { type ChosenRoute, routeName } from './routes.ts'
import { busyLimitMs, describe, type SentJob, sendJob, unservedLimitMs } from './send.ts'
import { type Failure, failJobWithin } from './settle.ts'

interface JobRow extends SentJob {
  status: string
  mode: Mode
  model_version: string
  input: Record<string, Json>
  /** Those that it may go by; null: any. */
  routes: string[] | null
  account_id: bigint
  attempt_id: string | null
  created_at: Date
  is_abandoned: boolean
}

/** A job with what is known of its model, once a way is chosen for it. */
interface Sending {
  job: JobRow
  version: ModelVersion
  described: JobDescription
  chosen: ChosenRoute
}

const retryDelayMs = 15_000

/**
 * Sends one job to an upstream: chooses the way, claims it, fetches its input files, writes the attempt down (from here on it
 * can't be cancelled here), and submits. Runs again after a crash or fault at any point; while an earlier attempt may be alive
 * at the upstream nothing is sent, and the poller looks after it.
 */
export async function dispatchJob(context: JobContext, jobId: string, run: Run = firstRun): Promise<void> {
  const job = await findJob(context, jobId)
  if (job === undefined || !['pending', 'processing'].includes(job.status)) return
  if (job.attempt_id !== null) return job.is_abandoned ? abandon(context, jobId, job.attempt_id) : undefined
  try {
    await dispatch(context, job, run)
  } catch (error) {
    // in a task of its own: the queue's own delays grow to hours, and its attempts end
    context.log.error({ jobId, err: error }, 'dispatch failed; it will be tried again')
    if (!isUnavailable(error) && !isNoSpace(error) && job.waited_ms > busyLimitMs) return giveUp(context, job)
    await tryAgain(context, jobId, retryDelayMs, { trouble: describe(error) })
  }
}

async function dispatch(context: JobContext, job: JobRow, run: Run): Promise<void> {
  if (isHopeless(run) && job.waited_ms > unservedLimitMs) return giveUp(context, job)
  const delayMs = restMs(run)
  if (delayMs > 0) {
    const { cutOffs } = run
    const trouble = `the process died ${cutOffs} times while it was sent, so it waits to be sent apart from others`
    return tryAgain(context, job.id, delayMs, { cutOffs, trouble })
  }
  const model = context.catalogue.models.get(job.model_slug)
  const version = model?.versions.find((candidate) => candidate.version === job.model_version)
  const choice: RouteChoice =
    model === undefined || version === undefined
      ? { waitMs: retryDelayMs, limitMs: unservedLimitMs }
      : await choose(context, job, model, version)
  if ('failure' in choice) return giveUp(context, job, choice.failure)
  if ('waitMs' in choice) {
    if (job.waited_ms > choice.limitMs) return giveUp(context, job)
    return tryAgain(context, job.id, choice.waitMs, { trouble: choice.trouble })
  }
  const { provider, route } = choice.candidate
  const described = {
    jobId: job.id,
    model: { slug: model!.slug, capability: model!.capability },
    route,
    input: job.input,
  }
  await send(context, { job, version: version!, described, chosen: choice }, provider.timeLimitMs(described))
}

async function choose(
  context: JobContext,
  job: JobRow,
  model: Model,
  version: ModelVersion,
): Promise<RouteChoice> {
  // what was decided with the price holds, whatever routes and prices have become
  const candidates = context
    .candidates(job.mode, model, version)
    .filter(({ route }) => job.routes === null || job.routes.includes(routeName(route)))
  if (job.status === 'pending') {
    const described = { jobId: job.id, input: job.input }
    const admitMs = Math.min(
      ...candidates.map(({ provider }) => provider.admit?.(described, job.waited_ms) ?? 0),
    )
    // however long the line is: whoever keeps it ends it
    if (admitMs > 0 && candidates.length > 0) {
      const trouble = candidates.map(({ provider }) => provider.trouble?.()).find((found) => found)
      return { waitMs: admitMs, limitMs: Number.POSITIVE_INFINITY, trouble }
    }
  }
  return chooseRoute(context, candidates, job)
}

async function send(context: JobContext, sending: Sending, timeLimitMs: number): Promise<void> {
  const { job, version } = sending
  const release = version.mediaFields.length === 0 ? () => {} : takeDownloadPlace(job.account_id)
  // the longer it has waited the longer until it asks again, so that a long line asks seldom
  if (release === undefined) {
    return tryAgain(context, job.id, Math.min(60_000, Math.max(1_000, job.waited_ms / 4)))
  }
  try {
    await claimJob(context, job.id, timeLimitMs)
    await sendWithInputs(context, sending)
  } finally {
    release()
  }
}

async function sendWithInputs(
  context: JobContext,
  { job, version, described, chosen }: Sending,
): Promise<void> {
  // a folder of this run's own: a second run of the task must not write into the first one's files
  const folder = await mkdtemp(join(context.temporaryDirectory, `${job.id}-`))
  const lend = lendMedia(context, job.id)
  const { provider } = chosen.candidate
  try {
    // without files, which need not be fetched for as long as it is not ready
    const early = await makeReady(provider, described, lend)
    if (early.outcome === 'pending') return await waitUntilReady(context, job, early.delayMs)
    const inputs = await durable('inputs.fetch', () =>
      fetchInputs(context, version, job.input, { folder, jobCreatedAt: job.created_at }),
    )
    if ('failure' in inputs) return await failUnsent(context, job.id, inputs.failure)
    const cleaned = await cleanMedia(context, provider, inputs.media, folder, (name) =>
      tell(context.pool, job.id, 'media_making', context.clock.now(), { media: name }),
    )
    if ('failure' in cleaned) return await failUnsent(context, job.id, cleaned.failure)
    if (cleaned.changes.length > 0) await tellMade(context, job.id, cleaned.changes)
    const request = { ...described, media: cleaned.media }
    const ready = early.outcome === 'files' ? await makeReady(provider, request, lend) : early
    if (ready.outcome === 'pending') return await waitUntilReady(context, job, ready.delayMs)
    if (ready.outcome === 'files') throw new Error(`${provider.name} wants files that it has`)
    const isReady = ready.outcome === 'ready'
    await sendJob(context, chosen, isReady ? { ...request, prepared: ready.prepared } : request, {
      job,
      lend,
      answer: isReady ? undefined : ready,
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function tellMade({ pool, clock }: JobContext, jobId: string, files: MediaChange[]): Promise<void> {
  await tell(pool, jobId, 'media_made', clock.now(), { files })
}

async function waitUntilReady(context: JobContext, job: JobRow, delayMs: number): Promise<void> {
  if (job.waited_ms > unservedLimitMs) return giveUp(context, job)
  await tryAgain(context, job.id, Math.max(500, delayMs))
}

/** Ends a job that can't be sent, whether it was claimed before or not. */
async function giveUp(
  context: JobContext,
  job: JobRow,
  failure: Failure = refusalOf(job.earlier) ?? { code: 'PROVIDER_UNAVAILABLE' },
): Promise<void> {
  await claimJob(context, job.id, 0)
  await failUnsent(context, job.id, failure)
}

/** Another process may have sent it, while this one was taken for dead: then it is not ours to end. */
async function failUnsent({ pool, clock }: JobContext, jobId: string, failure: Failure): Promise<void> {
  const fail = async (client: pg.PoolClient) => {
    await client.query('select from jobs where id = $1 for update', [jobId])
    const { rowCount } = await client.query(
      "select from attempts where job_id = $1 and status in ('sending', 'accepted', 'unknown')",
      [jobId],
    )
    if (rowCount === 0) await failJobWithin(client, jobId, failure, clock.now())
  }
  await durable('job.fail', () => transaction(pool, fail))
}

/** The process that was sending the attempt is gone, and nobody knows how far it came. */
async function abandon({ pool, clock }: JobContext, jobId: string, attemptId: string): Promise<void> {
  await loseAttempt(pool, { jobId, attemptId, at: clock.now() }, 'the process that sent it has died', 0)
}

/**
 * Under the lock of the job's row, so that no task is left of a job that is cancelled at this moment. `trouble`: why, where
 * that is our own.
 */
async function tryAgain(
  { pool }: JobContext,
  jobId: string,
  delayMs: number,
  { cutOffs, trouble = null }: { cutOffs?: number; trouble?: string | null | undefined } = {},
): Promise<void> {
  await transaction(pool, async (client) => {
    const { rows } = await client.query<{ trouble: string | null }>(
      "select trouble from jobs where id = $1 and status in ('pending', 'processing') for update",
      [jobId],
    )
    if (rows[0] === undefined) return
    if (rows[0].trouble !== trouble) await noteTrouble(client, jobId, trouble)
    const task = { jobId, ...(cutOffs !== undefined && { cutOffs }) }
    await addTask(client, 'dispatch', task, { delayMs, key: dispatchKey(jobId) })
  })
}

// One account's slow file servers must not take all the places that dispatches have.
const downloadsPerAccount = 4
const downloads = new Map<bigint, number>()

function takeDownloadPlace(accountId: bigint): (() => void) | undefined {
  const taken = downloads.get(accountId) ?? 0
  if (taken >= downloadsPerAccount) return undefined
  downloads.set(accountId, taken + 1)
  return () => {
    const left = (downloads.get(accountId) ?? 1) - 1
    if (left === 0) downloads.delete(accountId)
    else downloads.set(accountId, left)
  }
}

async function findJob({ pool }: JobContext, jobId: string): Promise<JobRow | undefined> {
  const { rows } = await pool.query<JobRow>({
    name: 'dispatch-find-job',
    text: `
      select j.id, j.status, b.mode, j.model_slug, j.model_version, j.input, j.routes, j.created_at, j.account_id,
        (1000 * extract(epoch from filmgate_now() - j.created_at))::float8 as waited_ms,
        a.id as attempt_id, a.status = 'sending' and p.id is null as is_abandoned,
        (select coalesce(json_agg(json_build_object('provider', e.provider, 'model', e.route ->> 'model', 'status', e.status,
           'refusal_code', e.refusal_code, 'cause', e.cause, 'is_recent', e.answered_at > filmgate_now() - interval '30 s')
           order by e.number), '[]') from attempts e where e.job_id = j.id) as earlier
      from jobs j
      join accounts b on b.id = j.account_id
      left join attempts a on a.job_id = j.id and a.status in ('sending', 'accepted', 'unknown')
      left join processes p on p.id = a.process_id and p.beat_at > filmgate_now() - interval '15 s'
      where j.id = $1`,
    values: [jobId],
  })
  return rows[0]
}

/** Pending → processing. False if it is pending no more. */
export async function claimJob(
  { pool, clock }: Pick<JobContext, 'pool' | 'clock'>,
  jobId: string,
  timeLimitMs: number,
): Promise<boolean> {
  const at = clock.now()
  const claim = () => changeStatus(pool, jobId, { from: 'pending', to: 'processing', at, timeLimitMs })
  return (await durable('job.claim', claim)) !== undefined
}
