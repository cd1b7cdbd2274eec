import type { Logger } from 'pino'
import { withinTime } from './time-limit.ts'

/** What one check found: nothing to say, or why it is only half well. Failing is throwing. */
export type Check = () => Promise<string | undefined>

export interface Report {
  status: 'ok' | 'degraded' | 'unavailable'
  checks: Record<string, 'ok' | 'degraded' | 'failed'>
  /** What is wrong, without inner details. */
  reasons: string[]
}

export interface Health {
  /** Made anew at most once a second, however many ask. */
  report(): Promise<Report>
  stop(): void
}

/** An answer comes within this, whatever hangs. */
const limitMs = 3_000
/** Anyone may ask, as often as they like; an S3 store is paid for each of its two requests. */
const freshMs = 1_000
const watchEveryMs = 15_000

interface Found {
  state: 'ok' | 'degraded' | 'failed'
  reason?: string
}

/**
 * Asks all that a request needs. Of each check one runs at a time: where it hangs, those who ask later wait for the same.
 * What fails is logged, and what is only half well of the `watched` checks, which are made also while nobody asks.
 */
export function createHealth(checks: Record<string, Check>, watched: string[], log: Logger): Health {
  const probes = Object.entries(checks).map(([name, check]) => ({
    name,
    probe: createProbe(name, check, watched.includes(name), log),
  }))
  let last: { at: number; report: Promise<Report> } | undefined

  async function look(): Promise<Report> {
    const found = await Promise.all(probes.map(async ({ name, probe }) => ({ name, ...(await probe()) })))
    const has = (state: Found['state']) => found.some((each) => each.state === state)
    return {
      status: has('failed') ? 'unavailable' : has('degraded') ? 'degraded' : 'ok',
      checks: Object.fromEntries(found.map(({ name, state }) => [name, state])),
      reasons: found.flatMap(({ reason }) => reason ?? []),
    }
  }

  const timer = setInterval(() => {
    for (const { name, probe } of probes) if (watched.includes(name)) void probe()
  }, watchEveryMs).unref()
  return {
    async report() {
      const at = performance.now()
      if (last === undefined || at - last.at >= freshMs) last = { at, report: look() }
      return last.report
    },
    stop: () => clearInterval(timer),
  }
}

function createProbe(name: string, check: Check, isWatched: boolean, log: Logger): () => Promise<Found> {
  let pending: Promise<string | undefined> | undefined
  let said: string | undefined
  return async () => {
    pending ??= check().finally(() => {
      pending = undefined
    })
    // one that is given up must not end the process when it fails later
    pending.catch(() => {})
    const found = await withinTime(limitMs, () => pending!).then(
      (reason): Found => (reason === undefined ? { state: 'ok' } : { state: 'degraded', reason }),
      (error): Found & { error: unknown } => ({ state: 'failed', reason: `${name} failed`, error }),
    )
    if (found.reason !== said) {
      const { state: now, reason } = found
      if (now === 'degraded' && isWatched) log.warn({ check: name }, reason)
      else if (now === 'ok') log.info({ check: name }, 'well again')
      else if (now === 'failed')
        log.error({ check: name, err: (found as { error?: unknown }).error }, 'not ready')
      said = reason
    }
    return { state: found.state, ...(found.reason !== undefined && { reason: found.reason }) }
  }
}
