import type { Db } from '../db.ts'
import type { SuspensionReason } from '../providers/provider.ts'

/** An upstream, or one model of it, that takes no jobs until the operator has mended something. */
export interface Suspension {
  upstream: string
  /** What the upstream calls it; '': all that goes there. */
  model: string
  reason: SuspensionReason
  /** When it is looked whether it is mended. */
  retryAt: Date
  /** A check, or a job, is looking at this moment. */
  isProbed: boolean
  /** A free check does not prove that the reason is gone, and was good or is not to be had: a job may try from `retryAt` on. */
  isChecked: boolean
}

/** All that are suspended now. */
export async function loadSuspensions(db: Db): Promise<Suspension[]> {
  const { rows } = await db.query<Suspension>(
    `select upstream, model, reason, retry_at as "retryAt", is_probed as "isProbed", is_checked as "isChecked"
     from upstream_closures`,
  )
  return rows
}

/** Those that keep jobs away from a route. */
export function suspensionsOf(
  suspensions: Suspension[],
  route: { upstream: string; model: string },
): Suspension[] {
  return suspensions.filter(
    ({ upstream, model }) => upstream === route.upstream && (model === '' || model === route.model),
  )
}
