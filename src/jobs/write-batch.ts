import type pg from 'pg'
import { ApiError } from '../errors.ts'
import { charge } from '../ledger/ledger.ts'
import {
  countJob,
  isCounted,
  type JobLimit,
  overLimit,
  readWindows,
  type Windows,
  writeWindows,
} from '../policy/rate-limits.ts'
import { addDispatchTasks } from '../queue/tasks.ts'
import { type Accepted, type Earlier, findEarlier, nameOf } from './idempotency.ts'
import { tellSubmitted } from './life.ts'
import type { BodyHashes } from './same-body.ts'

/** A checked and priced job, ready to be written. */
export interface Submission {
  jobId: string
  accountId: bigint
  apiKeyId: string
  requestId: string
  modelSlug: string
  modelVersion: string
  provider: string
  input: Record<string, unknown>
  metadata: Record<string, string> | undefined
  webhookUrl: string | undefined
  costMicroCents: bigint
  /** By what the price came about: 'list', 'quote', or the id of a price override. */
  priceBasis: string
  /** By which routes it may go ("upstream model"); null: by any. */
  routes: string[] | null
  /** What counts it where it is accepted. */
  limits: JobLimit[]
  createdAt: Date
  estimatedCompletionAt: Date
  idempotency: ({ key: string } & BodyHashes) | undefined
}

export type Verdict = Accepted | ApiError

interface Account {
  id: bigint
  balance: bigint
  owed: bigint
  concurrencyLimit: number | null
  unfinished: number
}

/**
 * Decides on a batch of submissions in the order of their arrival and writes those that are accepted, by a few
 * set-based statements in the caller's transaction; `send` sends them and waits for none. `maybeWritten`: some may be
 * there from an earlier attempt.
 */
export async function writeBatch(
  client: pg.PoolClient,
  batch: Submission[],
  maybeWritten: boolean,
): Promise<{ result: Verdict[]; send: () => Promise<unknown>[] }> {
  const accounts = await lockAccounts(client, [...new Set(batch.map((submission) => submission.accountId))])
  const written = maybeWritten ? await findWritten(client, batch) : new Set<string>()
  const limits = batch.flatMap((submission) => submission.limits)
  const [earlier, windows] = await Promise.all([
    findEarlier(client, batch.flatMap(toKeyed)),
    readWindows(client, limits),
  ])

  const accepted: Submission[] = []
  const verdicts = batch.map((submission): Verdict => {
    if (written.has(submission.jobId)) return toAccepted(submission, false)
    const account = accounts.get(submission.accountId)
    if (account === undefined) throw new Error(`account ${submission.accountId} is gone`)
    const { idempotency } = submission
    const [keyed] = toKeyed(submission)
    const first = keyed && earlier.get(nameOf(keyed))
    if (first !== undefined) return replay(idempotency!, first)
    const refusal = overLimit(windows, submission.limits) ?? refusalFor(submission, account)
    if (refusal !== undefined) return refusal
    countJob(windows, submission.limits)
    account.balance -= submission.costMicroCents
    account.unfinished++
    accepted.push(submission)
    const answer = toAccepted(submission, false)
    if (keyed) {
      const { modelSlug, modelVersion } = submission
      earlier.set(nameOf(keyed), { ...answer, ...idempotency!, modelSlug, modelVersion })
    }
    return answer
  })

  const send = () => (accepted.length === 0 ? [] : sendWrites(client, accepted, windows))
  return { result: verdicts, send }
}

function toKeyed({ accountId, idempotency }: Submission) {
  return idempotency === undefined ? [] : [{ accountId, key: idempotency.key }]
}

function sendWrites(client: pg.PoolClient, accepted: Submission[], windows: Windows): Promise<unknown>[] {
  const charges = accepted.map(({ jobId, accountId, costMicroCents }) => ({
    jobId,
    accountId,
    amountMicroCents: costMicroCents,
  }))
  const jobIds = accepted.map((submission) => submission.jobId)
  const keyed = accepted.filter((submission) => submission.idempotency !== undefined)
  return [
    insertJobs(client, accepted),
    charge(client, charges),
    ...(keyed.length > 0 ? [insertIdempotencyKeys(client, keyed)] : []),
    ...(isCounted(windows) ? [writeWindows(client, windows)] : []),
    tellSubmitted(client, accepted),
    addDispatchTasks(client, jobIds),
  ]
}

function toAccepted(submission: Submission, replayed: boolean): Accepted {
  const { jobId, requestId, estimatedCompletionAt, costMicroCents } = submission
  return { jobId, requestId, estimatedCompletionAt, costMicroCents, replayed }
}

function refusalFor(submission: Submission, account: Account): ApiError | undefined {
  const { concurrencyLimit, unfinished, balance, owed } = account
  if (concurrencyLimit !== null && unfinished >= concurrencyLimit) {
    const message = `The account has ${unfinished} unfinished jobs and may have ${concurrencyLimit}. Wait for one to end.`
    return new ApiError('CONCURRENT_JOBS_EXCEEDED', message, { retryAfter: 5, limit: concurrencyLimit })
  }
  if (owed > 0n) {
    const message = `The account owes ${owed} micro-cents: credits pay that first. Nothing was charged.`
    return new ApiError('INSUFFICIENT_BALANCE', message, {
      requiredMicroCents: Number(submission.costMicroCents),
      availableMicroCents: Number(balance),
      owedMicroCents: Number(owed),
    })
  }
  if (balance < submission.costMicroCents) {
    const message = `The job costs ${submission.costMicroCents} micro-cents, the balance is ${balance}. Nothing was charged.`
    return new ApiError('INSUFFICIENT_BALANCE', message, {
      requiredMicroCents: Number(submission.costMicroCents),
      availableMicroCents: Number(balance),
    })
  }
  return undefined
}

// What was completed by another version, or other defaults, is compared once more where it was accepted (accept.ts).
function replay(asked: BodyHashes, first: Earlier): Verdict {
  const { requestHash, completedHash } = asked
  const isSame =
    requestHash.equals(first.requestHash) ||
    (completedHash !== null && first.completedHash !== null && completedHash.equals(first.completedHash))
  return isSame ? toReplay(first) : conflict()
}

/** The answer to a request that came again. */
export function toReplay({ jobId, requestId, estimatedCompletionAt, costMicroCents }: Accepted): Accepted {
  return { jobId, requestId, estimatedCompletionAt, costMicroCents, replayed: true }
}

export function conflict(): ApiError {
  return new ApiError(
    'IDEMPOTENCY_CONFLICT',
    'This Idempotency-Key came before with another body. Use a new key for a new request.',
  )
}

/** Locks the accounts in the order of their ids, so that two processes never wait for each other in a ring. */
async function lockAccounts(client: pg.PoolClient, ids: bigint[]): Promise<Map<bigint, Account>> {
  const { rows } = await client.query<{
    id: bigint
    balance: bigint
    owed: bigint
    concurrency_limit: number | null
  }>({
    name: 'submit-lock-accounts',
    text: `
      select a.id, a.balance_micro_cents as balance, a.owed_micro_cents as owed, u.concurrency_limit
      from accounts a join users u on u.id = a.user_id
      where a.id = any($1) order by a.id for update of a`,
    values: [ids],
  })
  const limited = rows.filter((row) => row.concurrency_limit !== null).map((row) => row.id)
  const unfinished = limited.length > 0 ? await countUnfinished(client, limited) : new Map<bigint, number>()
  return new Map(
    rows.map(({ id, balance, owed, concurrency_limit }) => [
      id,
      { id, balance, owed, concurrencyLimit: concurrency_limit, unfinished: unfinished.get(id) ?? 0 },
    ]),
  )
}

// In a statement of its own: it must see what was committed while we waited for the locks.
async function countUnfinished(client: pg.PoolClient, ids: bigint[]): Promise<Map<bigint, number>> {
  const { rows } = await client.query<{ account_id: bigint; unfinished: number }>({
    text: `
      select account_id, count(*)::int as unfinished from jobs
      where account_id = any($1) and status in ('pending', 'processing') group by account_id`,
    values: [ids],
  })
  return new Map(rows.map((row) => [row.account_id, row.unfinished]))
}

async function findWritten(client: pg.PoolClient, batch: Submission[]): Promise<Set<string>> {
  const { rows } = await client.query<{ id: string }>('select id from jobs where id = any($1)', [
    batch.map((submission) => submission.jobId),
  ])
  return new Set(rows.map((row) => row.id))
}

// The clock of a process that was asleep is behind by that for some seconds. A job would be as old at once, and given up.
const mostBehindMs = 10_000

async function insertJobs(client: pg.PoolClient, jobs: Submission[]): Promise<void> {
  await client.query({
    name: 'submit-insert-jobs',
    text: `
      insert into jobs (id, account_id, api_key_id, request_id, model_slug, model_version, provider, input,
        metadata, webhook_url, cost_micro_cents, created_at, estimated_completion_at, price_basis, routes)
      select id, account, api_key, request, model, version, provider, input, metadata, webhook, cost,
        greatest(created, filmgate_now() - $16 * interval '1 ms'), estimated, basis,
        case when routes is not null then array(select jsonb_array_elements_text(routes)) end
      from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::jsonb[], $9::jsonb[], $10::text[], $11::bigint[], $12::timestamptz[], $13::timestamptz[], $14::text[], $15::jsonb[])
        as job (id, account, api_key, request, model, version, provider, input, metadata, webhook, cost, created, estimated,
          basis, routes)`,
    values: [
      jobs.map((job) => job.jobId),
      jobs.map((job) => job.accountId),
      jobs.map((job) => job.apiKeyId),
      jobs.map((job) => job.requestId),
      jobs.map((job) => job.modelSlug),
      jobs.map((job) => job.modelVersion),
      jobs.map((job) => job.provider),
      jobs.map((job) => JSON.stringify(job.input)),
      jobs.map((job) => (job.metadata === undefined ? null : JSON.stringify(job.metadata))),
      jobs.map((job) => job.webhookUrl ?? null),
      jobs.map((job) => job.costMicroCents),
      jobs.map((job) => job.createdAt),
      jobs.map((job) => job.estimatedCompletionAt),
      jobs.map((job) => job.priceBasis),
      jobs.map((job) => (job.routes === null ? null : JSON.stringify(job.routes))),
      mostBehindMs,
    ],
  })
}

// A key that is still there was found expired: it is taken over.
async function insertIdempotencyKeys(client: pg.PoolClient, jobs: Submission[]): Promise<void> {
  await client.query({
    name: 'submit-insert-keys',
    text: `
      insert into idempotency_keys (account_id, key, request_hash, job_id, created_at, completed_hash, basis)
      select account, key, request_hash, job, greatest(created, filmgate_now() - $8 * interval '1 ms'), completed_hash, basis
      from unnest($1::bigint[], $2::text[], $3::bytea[], $4::text[], $5::timestamptz[], $6::bytea[], $7::jsonb[])
        as keyed (account, key, request_hash, job, created, completed_hash, basis)
      on conflict (account_id, key) do update
        set request_hash = excluded.request_hash, job_id = excluded.job_id, created_at = excluded.created_at,
          completed_hash = excluded.completed_hash, basis = excluded.basis`,
    values: [
      jobs.map((job) => job.accountId),
      jobs.map((job) => job.idempotency?.key),
      jobs.map((job) => job.idempotency?.requestHash),
      jobs.map((job) => job.jobId),
      jobs.map((job) => job.createdAt),
      jobs.map((job) => job.idempotency?.completedHash),
      jobs.map((job) => JSON.stringify(job.idempotency?.basis ?? null)),
      mostBehindMs,
    ],
  })
}
