import type { Logger } from 'pino'
import type { Catalogue } from '../catalogue/load.ts'
import type { Clock } from '../clock.ts'
import { coalesce } from '../coalesce.ts'
import type { Db } from '../db.ts'
import type { Provider } from '../providers/provider.ts'
import { refreshed } from '../refreshed.ts'
import { type DurationModel, fitDurations, pollDelayMs } from './poll-schedule.ts'

/**
 * When jobs will be done, from what was learnt. Both answer at once from memory, as a submit can't wait for it: what is
 * old is read again meanwhile, and counts from the next question on.
 */
export interface Expectations {
  /** How long to wait before an upstream is asked about a job, `elapsedMs` after it accepted it. */
  nextPollMs(
    provider: Pick<Provider, 'name' | 'pollBatch' | 'pollDelayMs'>,
    job: { modelSlug: string; elapsedMs: number },
  ): number
  /**
   * How long it takes until a job that is submitted now is done, the line before it included. `usualMs` is what the
   * provider expects of it (Provider.expectedMs): it knows the input, so it counts instead of what was learnt.
   */
  completionMs(
    provider: Pick<Provider, 'name'>,
    job: { modelSlug: string; usualMs?: number | undefined },
  ): number
  /** How long a provider usually takes for a model, in ms. */
  medianMs(provider: string, modelSlug: string): number
}

const learntFrom = 200
const durationsAgeMs = 60_000
const lineAgeMs = 10_000
const unlistedMs = 60_000
const longestWaitMs = 86_400_000

/** Keeps what was learnt in memory, each process for itself. Without a database the catalogue's figures count. */
export function createExpectations({
  pool,
  clock,
  catalogue,
  log,
}: {
  pool: Db
  clock: Clock
  catalogue: Catalogue
  log: Logger
}): Expectations {
  const load = coalesce<ModelKey, number[]>(50, (keys) => recentDurations(pool, keys))
  const lines = refreshed({ clock, log }, lineAgeMs, () => readLines(pool, clock.now()))
  const learnt = new Map<string, () => DurationModel | undefined>()

  function durationsOf(provider: string, modelSlug: string): DurationModel {
    const listed = catalogue.models.get(modelSlug)
    // only listed models are kept, which bounds the memory
    if (listed === undefined) return fitDurations([], unlistedMs)
    const listedMs = listed.processingSeconds * 1000
    const key = `${provider} ${modelSlug}`
    let known = learnt.get(key)
    if (known === undefined) {
      const read = async () => fitDurations(await load({ provider, modelSlug }), listedMs)
      known = refreshed({ clock, log }, durationsAgeMs, read)
      learnt.set(key, known)
    }
    return known() ?? fitDurations([], listedMs)
  }

  return {
    nextPollMs: (provider, { modelSlug, elapsedMs }) =>
      provider.pollDelayMs?.(elapsedMs) ??
      pollDelayMs(durationsOf(provider.name, modelSlug), elapsedMs, provider.pollBatch),
    completionMs: ({ name }, { modelSlug, usualMs }) =>
      (usualMs ?? durationsOf(name, modelSlug).medianMs) + (lines()?.get(name) ?? 0),
    medianMs: (provider, modelSlug) => durationsOf(provider, modelSlug).medianMs,
  }
}

interface ModelKey {
  provider: string
  modelSlug: string
}

/** How long the last jobs of a provider and model took, in ms, the newest first. */
export async function recentDurations(pool: Db, keys: ModelKey[]): Promise<number[][]> {
  const { rows } = await pool.query<{ durations: number[] }>({
    name: 'expectations-durations',
    text: `
      select array(
        select extract(epoch from finished_at - answered_at)::float8 * 1000 from attempts
        where provider = asked.provider and model_slug = asked.model and finished_at is not null
        order by finished_at desc limit $3
      ) as durations
      from unnest($1::text[], $2::text[]) with ordinality as asked (provider, model, place)
      order by place`,
    values: [keys.map((key) => key.provider), keys.map((key) => key.modelSlug), learntFrom],
  })
  return rows.map((row) => row.durations)
}

// What waits for less was not yet taken up: a dispatch takes some milliseconds where nothing stands in its way.
const shortestLineMs = 2_000

/**
 * How long a new job of each provider waits before it is sent: as long as those that wait now take at the pace at which
 * jobs were sent since the first of them came. If none was, it may last as long again.
 */
async function readLines(pool: Db, now: Date): Promise<Map<string, number>> {
  const { rows } = await pool.query<{ provider: string; waiting: number; since: Date; sent: number }>({
    name: 'expectations-lines',
    // attempts have ids in the order of time: of many only the newest are counted, and the time that they cover
    text: `
      with newest as (
        select provider, status, started_at from attempts order by id desc limit 1000
      ), covered as (
        select case when count(*) = 1000 then min(started_at) else '-infinity' end as since from newest
      ), line as (
        select provider, count(*)::int as waiting, greatest(min(created_at), (select since from covered)) as since
        from jobs where status = 'pending' group by provider
      )
      select provider, waiting, since, (
        select count(*)::int from newest
        where newest.provider = line.provider and newest.status = 'accepted' and started_at >= line.since
      ) as sent
      from line`,
  })
  return new Map(rows.map(({ provider, ...line }) => [provider, lineMs(line, now)]))
}

function lineMs({ waiting, since, sent }: { waiting: number; since: Date; sent: number }, now: Date): number {
  const sinceMs = now.getTime() - since.getTime()
  if (sinceMs < shortestLineMs) return 0
  return Math.min(longestWaitMs, sent === 0 ? sinceMs : (sinceMs * waiting) / sent)
}
