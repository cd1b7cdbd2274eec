/**
 * The durable steps of a job's life, in their order. For tests of what a sudden death leaves behind:
 * FILMGATE_FAULT_POINT=attempt.begin:after kills the process the first time that it comes there, …:after:3 the third time.
 */
export const durableSteps = [
  'submit.commit',
  'job.claim',
  'inputs.fetch',
  'attempt.begin',
  'upstream.submit',
  'attempt.answer',
  'poll.claim',
  'upstream.poll',
  'poll.answer',
  'output.store',
  'job.complete',
  'job.fail',
  'job.cancel',
  'files.discard',
  'webhook.send',
  'webhook.record',
] as const

export type DurableStep = (typeof durableSteps)[number]

/** Whether a setting names a step that there is, and a side of it. */
export function isFaultPoint(text: string): boolean {
  const [, step] = /^([\w.]+):(?:before|after)(?::[1-9]\d*)?$/.exec(text) ?? []
  return durableSteps.some((known) => known === step)
}

const [name, side, times = '1'] = process.env.FILMGATE_FAULT_POINT?.split(':') ?? []
let left = Number(times)

/** Runs one durable step, unless the process is told to die right before or right after it. */
export async function durable<T>(step: DurableStep, run: () => Promise<T>): Promise<T> {
  if (name !== step) return run()
  dieIfTold('before')
  const result = await run()
  dieIfTold('after')
  return result
}

function dieIfTold(here: 'before' | 'after'): void {
  if (side !== here || --left > 0) return
  // as a crash does it: nothing is flushed, nobody is told
  process.kill(process.pid, 'SIGKILL')
}
