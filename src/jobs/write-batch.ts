import type pg from 'pg'
import type { Db } from '../db.ts'
import { ApiError } from '../errors.ts'
import { charge } from '../ledger/ledger.ts'
import { addDispatchTasks } from '../queue/tasks.ts'
import { tellSubmitted } from './life.ts'

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
  createdAt: Date
  estimatedCompletionAt: Date
  idempotency: { key: string; requestHash: Buffer } | undefined
}

export interface Accepted {
  jobId: string
  requestId: string
  estimatedCompletionAt: Date
  costMicroCents: bigint
  /** True if an earlier request with the same Idempotency-Key made this job. */
  replayed: boolean
}

const idempotencyLifeMs = 24 * 3_600_000

export type Verdict = Accepted | ApiError

interface Account {
  id: bigint
  balance: bigint
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
  const earlier = await findEarlier(client, batch)

  const accepted: Submission[] = []
  const verdicts = batch.map((submission): Verdict => {
    if (written.has(submission.jobId)) return toAccepted(submission, false)
    const account = accounts.get(submission.accountId)
    if (account === undefined) throw new Error(`account ${submission.accountId} is gone`)
    const { idempotency } = submission
    const first = idempotency && earlier.get(`${submission.accountId} ${idempotency.key}`)
    if (first !== undefined) return replay(idempotency!.requestHash, first)
    const refusal = refusalFor(submission, account)
    if (refusal !== undefined) return refusal
    account.balance -= submission.costMicroCents
    account.unfinished++
    accepted.push(submission)
    const answer = toAccepted(submission, false)
    if (idempotency) {
      earlier.set(`${submission.accountId} ${idempotency.key}`, {
        ...answer,
        requestHash: idempotency.requestHash,
      })
    }
    return answer
  })

  return { result: verdicts, send: () => (accepted.length === 0 ? [] : sendWrites(client, accepted)) }
}

function sendWrites(client: pg.PoolClient, accepted: Submission[]): Promise<unknown>[] {
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
    tellSubmitted(client, accepted),
    addDispatchTasks(client, jobIds),
  ]
}

function toAccepted(submission: Submission, replayed: boolean): Accepted {
  const { jobId, requestId, estimatedCompletionAt, costMicroCents } = submission
  return { jobId, requestId, estimatedCompletionAt, costMicroCents, replayed }
}

function refusalFor(submission: Submission, account: Account): ApiError | undefined {
  const { concurrencyLimit, unfinished, balance } = account
  if (concurrencyLimit !== null && unfinished >= concurrencyLimit) {
    const message = `The account has ${unfinished} unfinished jobs and may have ${concurrencyLimit}. Wait for one to end.`
    return new ApiError('CONCURRENT_JOBS_EXCEEDED', message, { retryAfter: 5, limit: concurrencyLimit })
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

type Earlier = Accepted & { requestHash: Buffer }

function replay(requestHash: Buffer, first: Earlier): Verdict {
  if (!requestHash.equals(first.requestHash)) {
    return new ApiError(
      'IDEMPOTENCY_CONFLICT',
      'This Idempotency-Key came before with another body. Use a new key for a new request.',
    )
  }
  const { requestHash: _, ...answer } = first
  return { ...answer, replayed: true }
}

/** Locks the accounts in the order of their ids, so that two processes never wait for each other in a ring. */
async function lockAccounts(client: pg.PoolClient, ids: bigint[]): Promise<Map<bigint, Account>> {
  const { rows } = await client.query<{ id: bigint; balance: bigint; concurrency_limit: number | null }>({
    name: 'submit-lock-accounts',
    text: `
      select a.id, a.balance_micro_cents as balance, u.concurrency_limit
      from accounts a join users u on u.id = a.user_id
      where a.id = any($1) order by a.id for update of a`,
    values: [ids],
  })
  const limited = rows.filter((row) => row.concurrency_limit !== null).map((row) => row.id)
  const unfinished = limited.length > 0 ? await countUnfinished(client, limited) : new Map<bigint, number>()
  return new Map(
    rows.map(({ id, balance, concurrency_limit }) => [
      id,
      { id, balance, concurrencyLimit: concurrency_limit, unfinished: unfinished.get(id) ?? 0 },
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

/** The answer to an earlier request with this key and body, if there was one. */
export async function findReplay(
  db: Db,
  accountId: bigint,
  idempotency: { key: string; requestHash: Buffer },
  now: Date,
): Promise<Accepted | undefined> {
  const earlier = await findEarlier(db, [{ accountId, idempotency, createdAt: now }])
  const first = earlier.get(`${accountId} ${idempotency.key}`)
  const verdict = first && replay(idempotency.requestHash, first)
  return verdict instanceof ApiError ? undefined : verdict
}

type Keyed = Pick<Submission, 'accountId' | 'idempotency' | 'createdAt'>

async function findEarlier(client: Db, batch: Keyed[]): Promise<Map<string, Earlier>> {
  const keyed = batch.filter((submission) => submission.idempotency !== undefined)
  if (keyed.length === 0) return new Map()
  const { rows } = await client.query<{
    account_id: bigint
    key: string
    request_hash: Buffer
    id: string
    request_id: string
    estimated_completion_at: Date
    cost_micro_cents: bigint
  }>({
    text: `
      select k.account_id, k.key, k.request_hash, j.id, j.request_id, j.estimated_completion_at, j.cost_micro_cents
      from unnest($1::bigint[], $2::text[]) as asked (account_id, key)
      join idempotency_keys k using (account_id, key)
      join jobs j on j.id = k.job_id
      where k.created_at > $3`,
    values: [
      keyed.map((submission) => submission.accountId),
      keyed.map((submission) => submission.idempotency?.key),
      new Date(keyed[0]!.createdAt.getTime() - idempotencyLifeMs),
    ],
  })
  return new Map(
    rows.map((row) => [
      `${row.account_id} ${row.key}`,
      {
        jobId: row.id,
        requestId: row.request_id,
        estimatedCompletionAt: row.estimated_completion_at,
        costMicroCents: row.cost_micro_cents,
        requestHash: row.request_hash,
        replayed: true,
      },
    ]),
  )
}

async function insertJobs(client: pg.PoolClient, jobs: Submission[]): Promise<void> {
  await client.query({
    name: 'submit-insert-jobs',
    text: `
      insert into jobs (id, account_id, api_key_id, request_id, model_slug, model_version, provider, input,
        metadata, webhook_url, cost_micro_cents, created_at, estimated_completion_at, price_basis)
      select * from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::jsonb[], $9::jsonb[], $10::text[], $11::bigint[], $12::timestamptz[], $13::timestamptz[], $14::text[])`,
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
    ],
  })
}

// A key that is still there was found expired: it is taken over.
async function insertIdempotencyKeys(client: pg.PoolClient, jobs: Submission[]): Promise<void> {
  await client.query({
    name: 'submit-insert-keys',
    text: `
      insert into idempotency_keys (account_id, key, request_hash, job_id, created_at)
      select * from unnest($1::bigint[], $2::text[], $3::bytea[], $4::text[], $5::timestamptz[])
      on conflict (account_id, key) do update
        set request_hash = excluded.request_hash, job_id = excluded.job_id, created_at = excluded.created_at`,
    values: [
      jobs.map((job) => job.accountId),
      jobs.map((job) => job.idempotency?.key),
      jobs.map((job) => job.idempotency?.requestHash),
      jobs.map((job) => job.jobId),
      jobs.map((job) => job.createdAt),
    ],
  })
}
