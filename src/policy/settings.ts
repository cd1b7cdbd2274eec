import type { VersionStatus } from '../catalogue/schema.ts'
import type { Db } from '../db.ts'

export type Visibility = { visibility: 'public' | 'private' } | { visibility: 'segment'; segments: string[] }

/** Sets who sees a model; segments must exist. */
export async function setVisibility(db: Db, modelSlug: string, rule: Visibility): Promise<void> {
  if (rule.visibility === 'public') {
    await db.query('delete from model_visibility where model_slug = $1', [modelSlug])
    return
  }
  await db.query(
    `insert into model_visibility (model_slug, visibility, segments) values ($1, $2, $3)
     on conflict (model_slug) do update set visibility = excluded.visibility, segments = excluded.segments`,
    [modelSlug, rule.visibility, rule.visibility === 'segment' ? rule.segments : []],
  )
}

/** Changes what is given of a model's version; null takes the operator's word back. */
export async function setVersion(
  db: Db,
  modelSlug: string,
  version: string,
  change: {
    status?: VersionStatus | null
    requestsPerMinute?: number | null
    requestsPerDay?: number | null
  },
): Promise<void> {
  await db.query(
    `insert into model_version_settings as s (model_slug, version, status, requests_per_minute, requests_per_day)
     values ($1, $2, $4, $6, $8)
     on conflict (model_slug, version) do update
       set status = case when $3 then excluded.status else s.status end,
         requests_per_minute = case when $5 then excluded.requests_per_minute else s.requests_per_minute end,
         requests_per_day = case when $7 then excluded.requests_per_day else s.requests_per_day end`,
    [
      modelSlug,
      version,
      change.status !== undefined,
      change.status ?? null,
      change.requestsPerMinute !== undefined,
      change.requestsPerMinute ?? null,
      change.requestsPerDay !== undefined,
      change.requestsPerDay ?? null,
    ],
  )
}
