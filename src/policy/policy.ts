import type pg from 'pg'
import type { VersionStatus } from '../catalogue/schema.ts'
import type { Clock } from '../clock.ts'
import type { Markup } from '../pricing/markup.ts'
import type { PriceOverride } from '../pricing/override.ts'
import { loadOverrides } from './price-overrides.ts'
import { loadSuspensions, type Suspension } from './suspensions.ts'

/** What the operator has set over the catalogue, and what takes no jobs until the operator has mended it. */
export interface Policy {
  number: bigint
  /** By slug; a model that is not in it is public. */
  visibility: Map<string, { visibility: 'segment' | 'private'; segments: string[] }>
  /** By slug and version, with a space between. */
  versions: Map<string, VersionSettings>
  suspensions: Suspension[]
  overrides: { ofUser: Map<string, PriceOverride[]>; ofSegment: Map<string, PriceOverride[]> }
  /** Part of the list price. */
  markups: Markup[]
}

export interface VersionSettings {
  status: VersionStatus | null
  requestsPerMinute: number | null
  requestsPerDay: number | null
}

export interface PolicySource {
  /** The policy of this number, or a newer one. */
  since(number: bigint): Promise<Policy>
  /** The policy as it was at most `maxAgeMs` ago; an older one while the database is away. */
  recent(): Promise<Policy>
}

const maxAgeMs = 1_000

/** Keeps the policy in memory; reads it again only when its number has changed. */
export function createPolicySource(pool: pg.Pool, clock: Clock): PolicySource {
  let policy: Policy | undefined
  let checkedAt = 0
  let loading: Promise<Policy> | undefined
  let checking: Promise<Policy> | undefined

  const load = () => {
    loading ??= loadPolicy(pool).finally(() => {
      loading = undefined
    })
    return loading
  }

  const since: PolicySource['since'] = async (number) => {
    if (policy?.number === number) return policy
    // loaded for a lower number too: after a restore, or where another database took over, what is here may be gone
    // there; a load that was under way may have begun before the change
    for (let attempt = 0; attempt < 2; attempt++) {
      policy = await load()
      if (policy.number >= number) return policy
    }
    throw new Error(`policy ${number} is not there: the newest is ${policy?.number}`)
  }

  const check = async () => {
    // also where it fails: while the database is away not every request should wait to hear it
    checkedAt = clock.now().getTime()
    return since(await newestNumber(pool))
  }

  return {
    since,
    async recent() {
      // whichever way: a clock that was set back would otherwise stop the checks until it is there again
      const agoMs = Math.abs(clock.now().getTime() - checkedAt)
      const isRecent = checking === undefined && agoMs < maxAgeMs
      if (policy !== undefined && isRecent) return policy
      checking ??= check().finally(() => {
        checking = undefined
      })
      try {
        return await checking
      } catch (error) {
        if (policy !== undefined) return policy
        throw error
      }
    },
  }
}

async function newestNumber(pool: pg.Pool): Promise<bigint> {
  const { rows } = await pool.query<{ number: bigint }>('select number from policy_version')
  return rows[0]!.number
}

/** The policy as it is now. */
// The number first: what is read after it may be newer than it says, and is then read once more, but never older.
export async function loadPolicy(pool: pg.Pool): Promise<Policy> {
  const number = await newestNumber(pool)
  const [visibility, versions, overrides, suspensions] = await Promise.all([
    loadVisibility(pool),
    loadVersionSettings(pool),
    loadOverrides(pool),
    loadSuspensions(pool),
  ])
  const ofUser = new Map<string, PriceOverride[]>()
  const ofSegment = new Map<string, PriceOverride[]>()
  const markups: Markup[] = []
  for (const override of overrides) {
    if (override.kind === 'percentage_markup') {
      markups.push(override)
      continue
    }
    const { subject } = override
    if ('userId' in subject) ofUser.set(subject.userId, [...(ofUser.get(subject.userId) ?? []), override])
    else ofSegment.set(subject.segment, [...(ofSegment.get(subject.segment) ?? []), override])
  }
  return { number, visibility, versions, suspensions, overrides: { ofUser, ofSegment }, markups }
}

async function loadVisibility(pool: pg.Pool): Promise<Policy['visibility']> {
  const { rows } = await pool.query<{
    model_slug: string
    visibility: 'segment' | 'private'
    segments: string[]
  }>('select model_slug, visibility, segments from model_visibility')
  return new Map(rows.map(({ model_slug, ...rule }) => [model_slug, rule]))
}

async function loadVersionSettings(pool: pg.Pool): Promise<Policy['versions']> {
  const { rows } = await pool.query<{
    model_slug: string
    version: string
    status: VersionStatus | null
    requests_per_minute: number | null
    requests_per_day: number | null
  }>('select * from model_version_settings')
  return new Map(
    rows.map((row) => [
      `${row.model_slug} ${row.version}`,
      {
        status: row.status,
        requestsPerMinute: row.requests_per_minute,
        requestsPerDay: row.requests_per_day,
      },
    ]),
  )
}

/** The price overrides that are for a user, as its own or as one of its segments'. */
export function overridesFor(
  { overrides }: Policy,
  user: { userId: string; segments: string[] },
): PriceOverride[] {
  if (overrides.ofUser.size === 0 && overrides.ofSegment.size === 0) return []
  const ofSegments = user.segments.flatMap((segment) => overrides.ofSegment.get(segment) ?? [])
  return [...(overrides.ofUser.get(user.userId) ?? []), ...ofSegments]
}
