import type { Db } from '../db.ts'
import { lockCharged, received } from './ledger.ts'

/** What of a job's charge was given back, and what is left of it. */
export interface GivenBack {
  chargedMicroCents: bigint
  /** By refund and goodwill. */
  givenBackMicroCents: bigint
}

/** Undefined for a job without a charge. */
export async function readGivenBack(db: Db, jobId: string): Promise<GivenBack | undefined> {
  const { rows } = await db.query<{ charged: bigint | null; given_back: bigint }>(
    `select sum(amount_micro_cents) filter (where kind = 'charge')::bigint as charged,
       coalesce(sum(amount_micro_cents) filter (where kind in ('refund', 'goodwill')), 0)::bigint as given_back
     from ledger_transfers where job_id = $1`,
    [jobId],
  )
  const { charged = null, given_back = 0n } = rows[0] ?? {}
  return charged === null ? undefined : { chargedMicroCents: charged, givenBackMicroCents: given_back }
}

/** The goodwill that a job was given with this note. */
export async function findGoodwill(db: Db, jobId: string, note: string): Promise<bigint | undefined> {
  const { rows } = await db.query<{ amount_micro_cents: bigint }>(
    "select amount_micro_cents from ledger_transfers where job_id = $1 and kind = 'goodwill' and note = $2",
    [jobId, note],
  )
  return rows[0]?.amount_micro_cents
}

/**
 * Gives a part of a job's charge back, in the caller's transaction. More than its charge in all breaks a constraint and is thrown, and so is a second one
 * with the same note.
 */
export async function giveGoodwill(
  db: Db,
  jobId: string,
  amountMicroCents: bigint,
  note: string,
): Promise<void> {
  await lockCharged(db, jobId)
  await db.query(
    `with moved as (
       insert into ledger_transfers (kind, from_account_id, to_account_id, amount_micro_cents, job_id, note)
       select 'goodwill', to_account_id, from_account_id, $2, job_id, $3
       from ledger_transfers where job_id = $1 and kind = 'charge'
       returning to_account_id, amount_micro_cents
     ), ${received}`,
    [jobId, amountMicroCents, note],
  )
}
