import type pg from 'pg'
import { transaction } from '../db.ts'
import { findGoodwill, giveGoodwill, readGivenBack } from '../ledger/goodwill.ts'
import type { JobStatus } from './read.ts'
import { hasEnded } from './timeline.ts'

/** `isRepeated`: this note had given as much before, and nothing was given again. */
export type Goodwill =
  | { amountMicroCents: bigint; refundedMicroCents: bigint; isRepeated: boolean }
  | { refused: string }

/**
 * Gives the customer of an ended job money back, of what is left of its charge: all of it where no amount is said. The same
 * note for the same job is the same goodwill. Undefined where there is no such job.
 */
export async function refundJob(
  pool: pg.Pool,
  jobId: string,
  { amountMicroCents, note }: { amountMicroCents?: bigint | undefined; note: string },
): Promise<Goodwill | undefined> {
  return transaction(pool, async (client): Promise<Goodwill | undefined> => {
    // with this lock goodwill and the end of the job, or another goodwill, come one after the other
    const { rows } = await client.query<{ status: JobStatus }>(
      'select status from jobs where id = $1 for update',
      [jobId],
    )
    const given = await readGivenBack(client, jobId)
    if (rows[0] === undefined || given === undefined) return undefined
    const { status } = rows[0]
    const { chargedMicroCents: charged, givenBackMicroCents: before } = given
    const earlier = await findGoodwill(client, jobId, note)
    if (earlier !== undefined) {
      return earlier === (amountMicroCents ?? earlier)
        ? { amountMicroCents: earlier, refundedMicroCents: before, isRepeated: true }
        : { refused: `this note has given the job ${earlier} micro-cents before: give another note` }
    }
    if (!hasEnded(status)) return { refused: `the job is ${status}: it can be cancelled, or must end first` }
    const left = charged - before
    const amount = amountMicroCents ?? left
    if (left === 0n) return { refused: `all of the charge of ${charged} micro-cents was given back before` }
    if (amount > left) {
      return { refused: `${left} micro-cents are left of the charge of ${charged}, less than ${amount}` }
    }
    await giveGoodwill(client, jobId, amount, note)
    return { amountMicroCents: amount, refundedMicroCents: before + amount, isRepeated: false }
  })
}
