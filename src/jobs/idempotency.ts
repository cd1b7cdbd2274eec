import { coalesce } from '../coalesce.ts'
import type { Db } from '../db.ts'
import type { Basis, FirstBody } from './same-body.ts'

/** A job that was taken, as its client is answered. */
export interface Accepted {
  jobId: string
  requestId: string
  estimatedCompletionAt: Date
  costMicroCents: bigint
  /** True if an earlier request with the same Idempotency-Key made this job. */
  replayed: boolean
}

/** An Idempotency-Key of an account. */
export interface Keyed {
  accountId: bigint
  key: string
}

/** The job that a key has made, and the body that it came with. */
export type Earlier = Accepted & FirstBody

export const nameOf = ({ accountId, key }: Keyed) => `${accountId} ${key}`

export interface Idempotency {
  find(keyed: Keyed): Promise<Earlier | undefined>
  /** The same, once the submits of the account that are being written in any process have ended. */
  findWritten(keyed: Keyed): Promise<Earlier | undefined>
  /**
   * Runs `work` once nothing else of this process is under way with the key, and answers `replay` of what the key has made
   * where it has made something by then. Requests of other processes meet at the account's lock.
   */
  once<T>(keyed: Keyed, replay: (earlier: Earlier) => T, work: () => Promise<T>): Promise<T>
}

/** Keys are looked up in the database; requests that arrive together share one look-up. */
export function createIdempotency(db: Db): Idempotency {
  const find = coalesce(500, async (batch: Keyed[]) => {
    const found = await findEarlier(db, batch)
    return batch.map((keyed) => found.get(nameOf(keyed)))
  })
  const underWay = new Map<string, Promise<unknown>>()
  return {
    find,
    async findWritten(keyed) {
      // in a statement of its own: the next one must see what was committed while this one waited
      await db.query('select from accounts where id = $1 for share', [keyed.accountId])
      return find(keyed)
    },
    async once(keyed, replay, work) {
      const name = nameOf(keyed)
      for (;;) {
        await underWay.get(name)?.catch(() => {})
        const earlier = await find(keyed)
        if (earlier !== undefined) return replay(earlier)
        if (underWay.has(name)) continue
        const mine = work().finally(() => underWay.delete(name))
        underWay.set(name, mine)
        return mine
      }
    },
  }
}

interface EarlierRow {
  account_id: bigint
  key: string
  request_hash: Buffer
  completed_hash: Buffer | null
  basis: Basis | null
  id: string
  request_id: string
  model_slug: string
  model_version: string
  estimated_completion_at: Date
  cost_micro_cents: bigint
}

/** What these keys have made in the last 24 hours, by `nameOf`. */
export async function findEarlier(db: Db, batch: Keyed[]): Promise<Map<string, Earlier>> {
  if (batch.length === 0) return new Map()
  const { rows } = await db.query<EarlierRow>({
    name: 'idempotency-find',
    text: `
      select k.account_id, k.key, k.request_hash, k.completed_hash, k.basis, j.id, j.request_id, j.model_slug,
        j.model_version, j.estimated_completion_at, j.cost_micro_cents
      from unnest($1::bigint[], $2::text[]) as asked (account_id, key)
      join idempotency_keys k using (account_id, key)
      join jobs j on j.id = k.job_id
      where k.created_at > filmgate_now() - interval '24 hours'`,
    values: [batch.map(({ accountId }) => accountId), batch.map(({ key }) => key)],
  })
  return new Map(
    rows.map((row) => [
      nameOf({ accountId: row.account_id, key: row.key }),
      {
        jobId: row.id,
        requestId: row.request_id,
        estimatedCompletionAt: row.estimated_completion_at,
        costMicroCents: row.cost_micro_cents,
        replayed: true,
        requestHash: row.request_hash,
        completedHash: row.completed_hash,
        basis: row.basis,
        modelSlug: row.model_slug,
        modelVersion: row.model_version,
      },
    ]),
  )
}
