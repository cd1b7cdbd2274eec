import type { Provider } from '../providers/provider.ts'
import { withinTime } from '../time-limit.ts'
import type { JobContext } from './context.ts'

const forgetLimitMs = 15_000

/** What the provider keeps for an ended job may go. Whatever comes of that changes nothing about the job. */
export async function forget(
  { log }: Pick<JobContext, 'log'>,
  provider: Provider,
  jobId: string,
  operation: unknown,
): Promise<void> {
  if (operation === null || operation === undefined || provider.forget === undefined) return
  await withinTime(forgetLimitMs, async (signal) => provider.forget?.(operation as never, { signal })).catch(
    (error) => log.warn({ jobId, err: error }, 'provider did not forget'),
  )
}
