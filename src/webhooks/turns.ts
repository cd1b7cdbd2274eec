/** A place among the deliveries under way, to be given back; or how long to wait before asking again. */
export type Turn = { end(): void; waitMs?: undefined } | { waitMs: number }

interface Line {
  /** When each of those under way began, the oldest first. */
  starts: Set<{ at: number }>
  /** How long the last one took; undefined: none has ended yet. */
  lastMs?: number
  /** When the last of those that were sent away may ask again. */
  endsAt: number
}

/** How many deliveries a process makes at once. */
export const placesOfAll = 16
/** The others are for hosts that have few. It bounds each user too, who can have any number of host names. */
const placesShared = 12
const placesOfHost = 2
/** Taken for the time of a host of which none has ended yet. */
const usualMs = 200
/** Below this a host may have more than its own places, since it soon gives them back. */
const quickMs = 1_000
/** Above this it is given one place until it is quicker: any number of such hosts leave room. */
const slowMs = 5_000
const shortestWaitMs = 100
const longestWaitMs = 30_000
const linesKept = 1_000

/**
 * Bounds how many deliveries of this process are under way to one host and for one user, so that a receiver which
 * hangs delays nobody else's. Those beyond the bound are told to come back one after the other, at about the pace
 * at which places become free, so that a long line costs the queue little.
 */
export function createTurns(
  nowMs: () => number = () => performance.now(),
): (host: string, userId: string) => Turn {
  const lines = new Map<string, Line>()
  let underWay = 0

  const lineOf = (name: string): Line => {
    const line = lines.get(name) ?? { starts: new Set(), endsAt: 0 }
    lines.set(name, line)
    return line
  }
  const forgetIdle = () => {
    for (const [name, line] of lines) if (line.starts.size === 0 && line.endsAt < nowMs()) lines.delete(name)
  }
  const isOpen = (line: Line) => {
    if (line.starts.size < ((line.lastMs ?? 0) < slowMs ? placesOfHost : 1)) return true
    const [oldest] = line.starts
    const isQuick = (line.lastMs ?? quickMs) < quickMs && nowMs() - (oldest?.at ?? 0) < quickMs
    return isQuick && underWay < placesShared
  }

  return (host, userId) => {
    if (lines.size >= linesKept) forgetIdle()
    const hostLine = lineOf(`host ${host}`)
    const userLine = lineOf(`user ${userId}`)
    if (!isOpen(hostLine)) return { waitMs: joinLine(hostLine, nowMs()) }
    if (userLine.starts.size >= placesShared) return { waitMs: joinLine(userLine, nowMs()) }
    const start = { at: nowMs() }
    const both = [hostLine, userLine]
    for (const line of both) line.starts.add(start)
    underWay += 1
    return {
      end() {
        underWay -= 1
        for (const line of both) {
          line.starts.delete(start)
          line.lastMs = nowMs() - start.at
        }
      },
    }
  }
}

function joinLine(line: Line, now: number): number {
  const [oldest] = line.starts
  const takesMs = Math.max(line.lastMs ?? usualMs, now - (oldest?.at ?? now))
  const paceMs = Math.min(quickMs, takesMs / Math.max(1, line.starts.size))
  line.endsAt = Math.max(line.endsAt + paceMs, now + shortestWaitMs)
  if (line.endsAt - now <= longestWaitMs) return line.endsAt - now
  // a longer line is not kept in order, only apart
  line.endsAt = now + longestWaitMs
  return longestWaitMs * (1 + Math.random())
}
