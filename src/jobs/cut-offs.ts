/**
 * A run of a task. `cutOffs`: how often in a row the process died in the middle of it. Of the tasks that a process had with
 * it when it died only one is at fault, if any is.
 */
export interface Run {
  cutOffs: number
  /** The last of them was just now: the others that were cut off with it would run at the same time again. */
  isTogether: boolean
}

export const firstRun: Run = { cutOffs: 0, isTogether: false }

/** A crash or two tell nothing of a task, which then goes on at once. */
const toleratedCutOffs = 2
/** One that was cut off more often than this, apart from the others, is what kills the process. */
const mostCutOffs = 8
const shortestRestMs = 10_000
const longestRestMs = 15 * 60_000

/** `attempts` is the queue's count of a task, whose runs before the last one were cut off. */
export function toRun(earlierCutOffs: number | undefined, attempts: number): Run {
  return { cutOffs: (earlierCutOffs ?? 0) + attempts - 1, isTogether: attempts > 1 }
}

/** How long a task is to wait before it runs, at a time of its own; 0: it may run now. */
export function restMs({ cutOffs, isTogether }: Run): number {
  if (!isTogether || cutOffs <= toleratedCutOffs) return 0
  const longest = Math.min(longestRestMs, shortestRestMs * 2 ** (cutOffs - toleratedCutOffs - 1))
  return Math.ceil(longest * (0.5 + Math.random() / 2))
}

/** Whether a task was cut off too often to be tried again, once it has been tried for as long as is worth it. */
export function isHopeless({ cutOffs }: Run): boolean {
  return cutOffs > mostCutOffs
}
