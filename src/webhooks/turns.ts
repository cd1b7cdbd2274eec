/** A place among the deliveries under way, to be given back; or how long to wait before asking again. */
export type Turn = { end(): void; waitMs?: undefined } | { waitMs: number }

interface Line {
  underWay: number
  /** How long the last attempt took; undefined: none has ended yet. */
  lastMs?: number
  /** When the last of those that were sent away may ask again. */
  endsAt: number
}

// Of the 16 deliveries that a process makes at once. A customer can have any number of host names, so names alone
// would bound nobody.
const mostOfHost = 4
const mostOfUser = 8
/** A host that took this long is given one delivery at a time until it is quicker: several such hosts leave room. */
const slowMs = 5_000
const shortestWaitMs = 500
const longestWaitMs = 30_000
const linesKept = 1_000

/**
 * Bounds how many deliveries of this process are under way to one host and for one user, so that a receiver which
 * hangs delays nobody else's. Those beyond the bound are told to come back one after the other, at about the pace
 * at which places become free, so that a long line costs the queue little.
 */
export function createTurns(
  now: () => number = () => performance.now(),
): (host: string, userId: string) => Turn {
  const lines = new Map<string, Line>()

  const lineOf = (name: string): Line => {
    const line = lines.get(name) ?? { underWay: 0, endsAt: 0 }
    lines.set(name, line)
    return line
  }
  const forgetIdle = () => {
    for (const [name, line] of lines) if (line.underWay === 0 && line.endsAt < now()) lines.delete(name)
  }

  return (host, userId) => {
    if (lines.size >= linesKept) forgetIdle()
    const hostLine = lineOf(`host ${host}`)
    const userLine = lineOf(`user ${userId}`)
    const hostLimit = (hostLine.lastMs ?? 0) < slowMs ? mostOfHost : 1
    if (hostLine.underWay >= hostLimit) return { waitMs: joinLine(hostLine, hostLimit, now()) }
    if (userLine.underWay >= mostOfUser) return { waitMs: joinLine(userLine, mostOfUser, now()) }
    const both = [hostLine, userLine]
    const start = now()
    for (const line of both) line.underWay += 1
    return {
      end() {
        for (const line of both) {
          line.underWay -= 1
          line.lastMs = now() - start
        }
      },
    }
  }
}

function joinLine(line: Line, limit: number, now: number): number {
  const paceMs = Math.min(1_000, Math.max(25, (line.lastMs ?? 1_000) / limit))
  line.endsAt = Math.max(line.endsAt + paceMs, now + shortestWaitMs)
  if (line.endsAt - now <= longestWaitMs) return line.endsAt - now
  // a longer line is not kept in order, only apart
  line.endsAt = now + longestWaitMs
  return longestWaitMs * (1 + Math.random())
}
