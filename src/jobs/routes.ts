import type { Logger } from 'pino'
import type { Model, ModelRoute, ModelVersion } from '../catalogue/load.ts'
import type { Clock } from '../clock.ts'
import { coalesce } from '../coalesce.ts'
import type { Db } from '../db.ts'
import type { Mode } from '../ledger/ledger.ts'
import { price } from '../pricing/price.ts'
import type { Json, Provider } from '../providers/provider.ts'
import { refreshed } from '../refreshed.ts'
import type { RouteState } from './rank-routes.ts'

/** A way to have a job made, by a provider that is set up. */
export interface Candidate {
  provider: Provider
  route: ModelRoute
}

/** Which ways a model's jobs can go here, best first by the catalogue. */
export type CandidatesOf = (mode: Mode, model: Model, version: ModelVersion) => Candidate[]

/** Test jobs go to the sandbox and nowhere else, live jobs never there. */
export function createCandidates(
  sandbox: Provider,
  upstreams: Provider[],
  routesOf: (model: Model, version: ModelVersion) => ModelRoute[],
): CandidatesOf {
  return (mode, model, version) => {
    if (mode === 'test') {
      return [{ provider: sandbox, route: { upstream: sandbox.name, model: model.slug } }]
    }
    return routesOf(model, version).flatMap((route) => {
      const provider = upstreams.find(({ name }) => name === route.upstream)
      return provider === undefined ? [] : [{ provider, route }]
    })
  }
}

/** What the upstream charges for a job by its list; undefined where that is not known. */
export function listedCost({ cost }: ModelRoute, input: Record<string, unknown>): bigint | undefined {
  if (cost === undefined) return undefined
  const found = price(cost, input)
  return 'costMicroCents' in found ? found.costMicroCents : undefined
}

/** The name by which a job remembers a route. */
export function routeName({ upstream, model }: Pick<ModelRoute, 'upstream' | 'model'>): string {
  return `${upstream} ${model}`
}

interface Health {
  name: string
  failures: number
  wait_ms: number
  suspensions: {
    model: string
    cause: string
    retry_ms: number
    is_checked: boolean
    probe_job_id: string | null
  }[]
}

/** An attempt that was made at a job before. */
export interface EarlierAttempt {
  provider: string
  /** What the upstream calls the model; null in one made before there were routes. */
  model: string | null
  status: string
  refusal_code: string | null
  cause: string | null
  is_recent: boolean
}

export type CandidateState = RouteState & { candidate: Candidate; isFailing: boolean }

/** What is known at the moment of each way that a job could go; by the database, which all processes share. */
export async function readRouteStates(
  db: Db,
  candidates: Candidate[],
  job: { jobId?: string; modelSlug: string; input: Record<string, Json>; earlier?: EarlierAttempt[] },
  learnt: { records: RouteRecords; medianMs(provider: string, modelSlug: string): number },
): Promise<CandidateState[]> {
  const { rows } = await db.query<Health>({
    name: 'routes-health',
    text: `
      select name, coalesce(u.failures, 0) as failures,
        greatest(0, coalesce(1000 * extract(epoch from greatest(u.open_until, u.busy_until) - filmgate_now()), 0))::float8 as wait_ms,
        (select coalesce(json_agg(json_build_object('model', model, 'cause', cause,
           'is_checked', is_checked, 'probe_job_id', probe_job_id, 'retry_ms', greatest(0, 1000 * extract(epoch from retry_at - filmgate_now())))), '[]')
         from upstream_closures c where c.upstream = asked.name) as suspensions
      from unnest($1::text[]) as asked (name) left join upstreams u using (name)`,
    values: [[...new Set(candidates.map(({ provider }) => provider.name))]],
  })
  const health = new Map(rows.map((row) => [row.name, row]))
  return candidates.map((candidate) => {
    const { provider, route } = candidate
    const { failures = 0, wait_ms: waitMs = 0, suspensions = [] } = health.get(provider.name) ?? {}
    const suspended = suspensions
      .filter(({ model }) => model === '' || model === route.model)
      .map((each) => ({ cause: each.cause, retryMs: retryMs(each, provider, job.jobId) }))
      .toSorted((a, b) => b.retryMs - a.retryMs)[0]
    const mine = (job.earlier ?? []).filter(
      (attempt) =>
        attempt.provider === provider.name && attempt.model === route.model && attempt.status === 'refused',
    )
    return {
      candidate,
      upstream: provider.name,
      model: route.model,
      unfit: provider.fits?.({ route, input: job.input }),
      hasRefused: mine.some(({ refusal_code }) => refusal_code !== null),
      hasJustFailed: mine.some(({ is_recent }) => is_recent),
      suspended,
      waitMs,
      isFailing: failures > 0,
      costMicroCents: listedCost(route, job.input),
      ...learnt.records(provider.name, job.modelSlug),
      medianMs: learnt.medianMs(provider.name, job.modelSlug),
    }
  })
}

/** Until a job may try whether the upstream takes jobs again. Its free check comes first, where it has one. */
function retryMs(
  suspension: Health['suspensions'][number],
  { check }: Provider,
  jobId: string | undefined,
): number {
  if (jobId !== undefined && suspension.probe_job_id === jobId) return 0
  const isToBeChecked = check !== undefined && !suspension.is_checked
  return isToBeChecked ? Math.max(1_000, suspension.retry_ms) : suspension.retry_ms
}

/** Where a job goes now. */
export interface ChosenRoute {
  candidate: Candidate
  listedCostMicroCents: bigint | undefined
  /** Its upstream's circuit counts failures. */
  isFailing: boolean
  /** It, or its upstream, was suspended: this job tries whether it takes jobs again. */
  wasSuspended: boolean
  /** Ways that the job may still go where this one refuses it for good. */
  others: number
  /** Those of them that can take it at once. */
  othersReady: number
}

/** How the recent jobs of a provider and model ended, from memory, which may be a minute old. */
export type RouteRecords = (provider: string, modelSlug: string) => { succeeded: number; failed: number }

const recentJobs = 50
const recordsAgeMs = 60_000

/**
 * Jobs of the last day count, up to 50. A customer's own doing (content, input files) is no failure of the route, and
 * neither is a submit that was not taken: nothing was lost by it.
 */
export function createRouteRecords(context: { pool: Db; clock: Clock; log: Logger }): RouteRecords {
  const load = coalesce<{ provider: string; modelSlug: string }, ReturnType<RouteRecords>>(50, (keys) =>
    readRecords(context.pool, keys),
  )
  const known = new Map<string, () => ReturnType<RouteRecords> | undefined>()
  return (provider, modelSlug) => {
    const key = `${provider} ${modelSlug}`
    let record = known.get(key)
    if (record === undefined) {
      record = refreshed(context, recordsAgeMs, () => load({ provider, modelSlug }))
      known.set(key, record)
    }
    return record() ?? { succeeded: 0, failed: 0 }
  }
}

/** Read at once; for the command line, which has no memory. */
export async function readRecords(
  db: Db,
  keys: { provider: string; modelSlug: string }[],
): Promise<{ succeeded: number; failed: number }[]> {
  const { rows } = await db.query<{ succeeded: number; failed: number }>({
    name: 'routes-records',
    text: `
      select
        count(*) filter (where ended.status = 'completed')::int as succeeded,
        count(*) filter (where ended.error_code in
          ('GENERATION_FAILED', 'PROVIDER_UNAVAILABLE', 'PROVIDER_TIMEOUT', 'OUTPUT_UNAVAILABLE'))::int as failed
      from unnest($1::text[], $2::text[]) with ordinality as asked (provider, model, place)
      left join lateral (
        -- those that are being made would take the places of those that tell something
        select j.status, j.error_code from attempts a join jobs j on j.id = a.job_id
        where a.provider = asked.provider and a.model_slug = asked.model and a.status in ('accepted', 'unknown')
          and a.started_at > filmgate_now() - interval '1 day' and j.status in ('completed', 'failed')
        order by a.started_at desc limit $3
      ) ended on true
      group by place order by place`,
    values: [keys.map((key) => key.provider), keys.map((key) => key.modelSlug), recentJobs],
  })
  return rows
}
