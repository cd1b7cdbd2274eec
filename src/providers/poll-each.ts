import type { PollOutcome } from './provider.ts'

/**
 * For upstreams that answer about one job at a time: asks about all at once. One that had no answer keeps no other waiting: it
 * counts as running, to be asked about again. Throws where none had one.
 */
export async function pollEach<T>(
  operations: T[],
  ask: (operation: T) => Promise<PollOutcome>,
): Promise<PollOutcome[]> {
  const answers = await Promise.allSettled(operations.map(ask))
  const failed = answers.filter((answer) => answer.status === 'rejected')
  if (failed.length > 0 && failed.length === answers.length) throw failed[0]!.reason
  return answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : { status: 'running' }))
}
