import type { Clock } from '../../src/clock.ts'

/** Something that stands in line for a place, has it for a while, and ends. Times in ms. */
export interface Work {
  submittedAt: number
  takesMs: number
  beganAt?: number
  endedAt?: number
}

export interface Line<W extends Work> {
  add(work: W): void
  /** Lets all happen that has to have happened by now. */
  advance(): void
  /** Ends one now, wherever it stands. */
  end(work: W): void
  /** How many stand before it. */
  positionOf(work: W): number
  close(): void
}

/** The work of an upstream that does so much at a time (`places`), the rest in order. */
export function openLine<W extends Work>(clock: Clock, places: number, ended: (work: W) => void): Line<W> {
  const waiting: W[] = []
  const running = new Set<W>()
  let freedAt = 0
  let timer: NodeJS.Timeout | undefined

  function begin(): void {
    while (running.size < places && waiting.length > 0) {
      const work = waiting.shift()!
      work.beganAt = Math.max(work.submittedAt, freedAt)
      running.add(work)
    }
  }

  function finish(work: W, at: number): void {
    if (work.endedAt !== undefined) return
    const index = waiting.indexOf(work)
    if (index >= 0) waiting.splice(index, 1)
    if (running.delete(work)) freedAt = at
    work.endedAt = at
    ended(work)
  }

  function advance(): void {
    const now = clock.now().getTime()
    begin()
    for (
      let next = firstToEnd(running);
      next !== undefined && endOf(next) <= now;
      next = firstToEnd(running)
    ) {
      finish(next, endOf(next))
      begin()
    }
    wake(now)
  }

  // So that it also ends when nobody asks; a clock that stands still is looked at again and again.
  function wake(now: number): void {
    clearTimeout(timer)
    const next = firstToEnd(running)
    if (next === undefined || !Number.isFinite(endOf(next))) return
    timer = setTimeout(advance, Math.max(5, endOf(next) - now)).unref()
  }

  return {
    advance,
    add: (work) => waiting.push(work),
    end(work) {
      finish(work, clock.now().getTime())
      advance()
    },
    positionOf: (work) => Math.max(0, waiting.indexOf(work)),
    close: () => clearTimeout(timer),
  }
}

function endOf(work: Work): number {
  return work.beganAt! + work.takesMs
}

function firstToEnd<W extends Work>(running: Set<W>): W | undefined {
  return [...running].toSorted((a, b) => endOf(a) - endOf(b))[0]
}
