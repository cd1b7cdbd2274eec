import type { Db } from '../db.ts'
import { newId } from '../ids.ts'
import type { PriceOverride, PriceTerms } from '../pricing/override.ts'

interface OverrideRow {
  id: string
  user_id: string | null
  segment: string | null
  provider_id: string | null
  model_slug: string | null
  kind: PriceTerms['kind']
  percentage: string | null
  price_micro_cents: bigint | null
  factors: Record<string, Record<string, string>> | null
  note: string | null
  created_at: Date
}

export type StoredOverride = PriceOverride & { note: string | null; createdAt: string }

// numeric as text would read 12.50; the price is the same, the text need not be
const columns = `id, user_id, segment, provider_id, model_slug, kind, trim_scale(percentage)::text as percentage,
  price_micro_cents, factors, note, created_at`

function toOverride(row: OverrideRow): StoredOverride {
  return {
    id: row.id,
    subject: row.user_id === null ? { segment: row.segment! } : { userId: row.user_id },
    scope:
      row.model_slug !== null
        ? { modelSlug: row.model_slug }
        : row.provider_id !== null
          ? { providerId: row.provider_id }
          : 'all',
    ...toTerms(row),
    note: row.note,
    createdAt: row.created_at.toISOString(),
  }
}

function toTerms(row: OverrideRow): PriceTerms {
  switch (row.kind) {
    case 'percentage_discount':
      return { kind: row.kind, percentage: row.percentage! }
    case 'fixed_price':
      return { kind: row.kind, priceMicroCents: Number(row.price_micro_cents) }
    case 'custom_dynamic':
      return { kind: row.kind, factors: row.factors! }
  }
}

/** Sets the terms for a subject and scope, in place of those that were there. */
export async function setOverride(
  db: Db,
  { subject, scope, note, ...terms }: Omit<PriceOverride, 'id'> & { note?: string | undefined } & PriceTerms,
): Promise<StoredOverride> {
  const { rows } = await db.query<OverrideRow>(
    `insert into price_overrides
       (id, user_id, segment, provider_id, model_slug, kind, percentage, price_micro_cents, factors, note)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     on conflict (user_id, segment, provider_id, model_slug) do update
       set id = excluded.id, kind = excluded.kind, percentage = excluded.percentage,
         price_micro_cents = excluded.price_micro_cents, factors = excluded.factors, note = excluded.note,
         created_at = filmgate_now()
     returning ${columns}`,
    [
      // a new id each time: jobs keep the id of the terms that they were priced by
      newId('override', new Date()),
      'userId' in subject ? subject.userId : null,
      'segment' in subject ? subject.segment : null,
      scope !== 'all' && 'providerId' in scope ? scope.providerId : null,
      scope !== 'all' && 'modelSlug' in scope ? scope.modelSlug : null,
      terms.kind,
      terms.kind === 'percentage_discount' ? terms.percentage : null,
      terms.kind === 'fixed_price' ? terms.priceMicroCents : null,
      terms.kind === 'custom_dynamic' ? JSON.stringify(terms.factors) : null,
      note ?? null,
    ],
  )
  return toOverride(rows[0]!)
}

/** All overrides, or those of one user or segment; oldest first. */
export async function listOverrides(
  db: Db,
  subject?: { userId: string } | { segment: string },
): Promise<StoredOverride[]> {
  const { rows } = await db.query<OverrideRow>(
    `select ${columns} from price_overrides
     where ($1::text is null or user_id = $1) and ($2::text is null or segment = $2) order by created_at, id`,
    [
      subject !== undefined && 'userId' in subject ? subject.userId : null,
      subject !== undefined && 'segment' in subject ? subject.segment : null,
    ],
  )
  return rows.map(toOverride)
}

/** What the policy needs of them: without notes and dates. */
export async function loadOverrides(db: Db): Promise<PriceOverride[]> {
  return (await listOverrides(db)).map(({ note: _, createdAt: __, ...override }) => override)
}

/** Takes an override away; false if there is none of this id. */
export async function removeOverride(db: Db, id: string): Promise<boolean> {
  const { rowCount } = await db.query('delete from price_overrides where id = $1', [id])
  return rowCount === 1
}
