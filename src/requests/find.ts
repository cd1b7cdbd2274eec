import type { Db } from '../db.ts'
import { idsBetween, timeOfId } from '../ids.ts'

/** What is known of a request, for its operator. */
export interface RequestReport {
  requestId: string
  /** The time in the id, if it is one of ours: when the request came, ISO 8601. */
  at: string | null
  /** The jobs that were made by it: one, unless a client used the id again. */
  jobs: RequestJob[]
  /** How it was refused or failed; several where a client used the id again. */
  refused: KeptRefusal[]
}

interface RequestJob {
  jobId: string
  status: string
  model: string
  userId: string
  keyId: string | null
  priceMicroCents: number
  createdAt: string
}

interface KeptRefusal {
  at: string
  method: string | null
  route: string | null
  status: number
  code: string | null
  message: string | null
  ms: number | null
  keyId: string | null
  userId: string | null
  address: string
}

const most = 20
// A job is made after its request came: once its body has arrived and others of the same key are through.
const searchedMs = 15 * 60_000

/** Finds what a request has made, and how it was refused. */
export async function findRequest(db: Db, requestId: string): Promise<RequestReport> {
  const at = timeOfId(requestId)
  const refused = await findRefused(db, requestId)
  let jobs = at === undefined ? [] : await findJobs(db, requestId, around(at))
  // jobs have no index by request: one with an id of the client's own is looked for among all
  if (jobs.length + refused.length === 0) jobs = await findJobs(db, requestId, [null, null])
  return { requestId, at: at?.toISOString() ?? null, jobs, refused }
}

function around(at: Date): [string, string] {
  const ms = at.getTime()
  return idsBetween('job', new Date(ms - searchedMs), new Date(ms + searchedMs))
}

async function findJobs(
  db: Db,
  requestId: string,
  between: [string, string] | [null, null],
): Promise<RequestJob[]> {
  const { rows } = await db.query<{ job: RequestJob }>(
    `select json_build_object('jobId', j.id, 'status', j.status, 'model', j.model_slug, 'userId', a.user_id,
       'keyId', j.api_key_id, 'priceMicroCents', j.cost_micro_cents, 'createdAt', j.created_at) as job
     from jobs j join accounts a on a.id = j.account_id
     where j.request_id = $1 and ($2::text is null or j.id between $2 and $3)
     order by j.position limit ${most}`,
    [requestId, ...between],
  )
  return rows.map(({ job }) => job)
}

async function findRefused(db: Db, requestId: string): Promise<KeptRefusal[]> {
  const { rows } = await db.query<{ refused: KeptRefusal }>(
    `select json_build_object('at', at, 'method', method, 'route', route, 'status', status, 'code', code,
       'message', message, 'ms', ms, 'keyId', api_key_id, 'userId', user_id, 'address', address) as refused
     from refused_requests where request_id = $1 order by number desc limit ${most}`,
    [requestId],
  )
  return rows.map(({ refused }) => refused)
}
