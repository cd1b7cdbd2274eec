import type { Catalogue } from '../catalogue/load.ts'
import type { Db } from '../db.ts'
import type { Mode } from '../ledger/ledger.ts'
import type { Json } from '../providers/provider.ts'
import { listUndelivered, type Undelivered } from '../webhooks/deliveries.ts'
import { type RankedRoute, rankRoutes } from './rank-routes.ts'
import type { JobStatus } from './read.ts'
import { type Candidate, type EarlierAttempt, readRouteStates } from './routes.ts'
import { openAsServersHave, readServers } from './servers.ts'
import { type Stuck, type StuckFacts, type Surroundings, stuckCause } from './stuck-cause.ts'

export type StuckJob = Stuck & { jobId: string }

type Row = StuckFacts & {
  id: string
  mode: Mode
  input: Record<string, Json>
  earlier: EarlierAttempt[]
}

/** More are not looked at, the oldest first. */
const mostSuspects = 1_000

/** Jobs that do not get on, each with its cause and what the operator can do. */
export async function findStuckJobs(
  db: Db,
  catalogue: Catalogue,
  { limit, status }: { limit: number; status?: JobStatus | undefined },
): Promise<StuckJob[]> {
  const [servers, rows, surroundings] = await Promise.all([
    readServers(db),
    readSuspects(db, status),
    readSurroundings(db),
  ])
  const living = servers.filter(({ isAlive }) => isAlive)
  const upstreams = new Set([
    'sandbox',
    ...living.flatMap((server) => server.upstreams.map(({ name }) => name)),
  ])
  const providers = openAsServersHave(living)
  const found: StuckJob[] = []
  for (const job of rows) {
    if (found.length === limit) break
    const model = catalogue.models.get(job.model_slug)
    const version = model?.versions.find((each) => each.version === job.model_version)
    const routes = job.mode === 'live' ? (version?.routes ?? []) : []
    const candidates = routes.flatMap((route): Candidate[] => {
      const provider = providers.find(({ name }) => name === route.upstream)
      return provider === undefined ? [] : [{ provider, route }]
    })
    const stuck = stuckCause(job, {
      ...surroundings,
      upstreams,
      usualSeconds: version && model?.processingSeconds,
      ways: {
        ranked: job.live === null ? await rank(db, job, candidates) : [],
        notSetUp: routes.map(({ upstream }) => upstream).filter((name) => !upstreams.has(name)),
      },
    })
    if (stuck !== undefined) found.push({ jobId: job.id, ...stuck })
  }
  const undelivered = await listUndelivered(db, limit - found.length, status)
  return [...found, ...undelivered.map(ofWebhook)]
}

function ofWebhook({ jobId, host, attempts, trouble, nextAttemptAt }: Undelivered): StuckJob {
  const cause = `it has ended, but its webhook could not be delivered to ${host}, ${attempts} times: ${trouble}`
  const isOver = nextAttemptAt === null
  return {
    jobId,
    cause: isOver ? `${cause}; it was given up` : cause,
    remedy: isOver
      ? 'have its customer mend the receiver, and ask for it anew: POST /v1/jobs/{jobId}/webhook-deliveries'
      : 'have its customer mend the receiver: it is tried again by itself',
  }
}

/** What was learnt of the routes does not matter here: only whether they take the job. */
const nothingLearnt = { records: () => ({ succeeded: 0, failed: 0 }), medianMs: () => 60_000 }

async function rank(db: Db, job: Row, candidates: Candidate[]): Promise<RankedRoute[]> {
  if (candidates.length === 0) return []
  const { id: jobId, model_slug: modelSlug, input, earlier } = job
  return rankRoutes(
    await readRouteStates(db, candidates, { jobId, modelSlug, input, earlier }, nothingLearnt),
  )
}

async function readSurroundings(db: Db): Promise<Pick<Surroundings, 'workers' | 'circuits'>> {
  const { rows } = await db.query<{ workers: number; circuits: Record<string, number> }>(
    `select
       (select count(*)::int from processes where beat_at > filmgate_now() - interval '15 s') as workers,
       (select coalesce(json_object_agg(name, failures), '{}') from upstreams where open_until > filmgate_now()) as circuits`,
  )
  const { workers, circuits } = rows[0]!
  return { workers, circuits: new Map(Object.entries(circuits)) }
}

/** Jobs that have not ended and of which anything may be amiss; whether it is `stuckCause` decides. */
async function readSuspects(db: Db, status: JobStatus | undefined): Promise<Row[]> {
  const { rows } = await db.query<Row>(
    `select j.id, j.status, j.model_slug, j.model_version, b.mode, j.input, j.deadline_at,
       extract(epoch from filmgate_now() - j.created_at)::float8 as age_s,
       extract(epoch from filmgate_now() - j.dispatched_at)::float8 as taken_up_s,
       coalesce(j.deadline_at < filmgate_now(), false) as is_late,
       a.status as live, j.provider, a.cause as live_cause,
       extract(epoch from filmgate_now() - coalesce(a.answered_at, a.started_at))::float8 as live_s,
       coalesce(a.status = 'sending' and (s.id is null or a.started_at < filmgate_now() - interval '2 minutes'), false)
         as is_abandoned,
       l.provider as last_provider, l.cause as last_cause,
       j.trouble, coalesce(p.failures, 0) as failures, coalesce(p.absences, 0) as absences,
       coalesce(p.output_failures, 0) as output_failures, p.outputs is not null as has_result,
       extract(epoch from filmgate_now() - p.due_at)::float8 as overdue_s, p.job_id is not null as is_polled,
       t.attempts as task_attempts, t.last_error as task_error, t.locked_at is not null as task_is_running,
       (select coalesce(json_agg(json_build_object('provider', e.provider, 'model', e.route ->> 'model', 'status', e.status,
          'refusal_code', e.refusal_code, 'cause', e.cause, 'is_recent', e.answered_at > filmgate_now() - interval '30 s')
          order by e.number), '[]') from attempts e where e.job_id = j.id) as earlier
     from jobs j
     join accounts b on b.id = j.account_id
     left join attempts a on a.job_id = j.id and a.status in ('sending', 'accepted', 'unknown')
     left join processes s on s.id = a.process_id and s.beat_at > filmgate_now() - interval '15 s'
     left join lateral (
       select provider, cause from attempts l
       where l.job_id = j.id and l.status in ('refused', 'absent') order by number desc limit 1
     ) l on true
     left join polls p on p.job_id = j.id
     left join graphile_worker.jobs t
       on t.key = case when p.outputs is not null then 'collect:' else 'dispatch:' end || j.id
     where j.status in ('pending', 'processing') and ($2::job_status is null or j.status = $2)
       -- most jobs that are being made are well
       and not (j.trouble is null and a.status is not null and a.status = 'accepted' and p.outputs is null and p.failures = 0 and p.absences = 0
         and p.output_failures = 0 and p.due_at > filmgate_now() and j.deadline_at > filmgate_now()
         and a.answered_at > filmgate_now() - interval '10 minutes'
         and exists (select from processes where beat_at > filmgate_now() - interval '15 s')
         and (p.provider = 'sandbox' or exists (select from servers v
           where v.beat_at > filmgate_now() - interval '15 s' and v.upstreams @> jsonb_build_array(jsonb_build_object('name', p.provider))))
         and not exists (select from upstreams u where u.name = p.provider and u.open_until > filmgate_now()))
     order by j.position limit $1`,
    [mostSuspects, status ?? null],
  )
  return rows
}
