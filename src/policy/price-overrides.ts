import { databaseTime } from '../clock.ts'
import type { Db } from '../db.ts'
import { newId } from '../ids.ts'
import type { Markup } from '../pricing/markup.ts'
import type { PriceOverride, PriceScope, PriceTerms } from '../pricing/override.ts'

interface OverrideRow {
  id: string
  user_id: string | null
  segment: string | null
  provider_id: string | null
  model_slug: string | null
  kind: (PriceOverride | Markup)['kind']
  percentage: string | null
  price_micro_cents: bigint | null
  factors: Record<string, Record<string, string>> | null
  note: string | null
  created_at: Date
}

type Noted = { note: string | null; createdAt: string }

export type StoredMarkup = Markup & Noted
export type StoredOverride = PriceOverride & Noted
export type Stored = StoredOverride | StoredMarkup

// numeric as text would read 12.50; the price is the same, the text need not be
const columns = `id, user_id, segment, provider_id, model_slug, kind, trim_scale(percentage)::text as percentage,
  price_micro_cents, factors, note, created_at`

function toStored(row: OverrideRow): Stored {
  const { id, kind, note } = row
  const shared = { id, scope: toScope(row), note, createdAt: row.created_at.toISOString() }
  if (kind === 'percentage_markup') {
    return { ...shared, subject: 'everybody', kind, percentage: row.percentage! }
  }
  const subject = row.user_id === null ? { segment: row.segment! } : { userId: row.user_id }
  return { ...shared, subject, ...toTerms({ ...row, kind }) }
}

function toScope({ model_slug, provider_id }: OverrideRow): PriceScope {
  if (model_slug !== null) return { modelSlug: model_slug }
  return provider_id === null ? 'all' : { providerId: provider_id }
}

function toTerms(row: OverrideRow & { kind: PriceTerms['kind'] }): PriceTerms {
  switch (row.kind) {
    case 'percentage_discount':
      return { kind: row.kind, percentage: row.percentage! }
    case 'fixed_price':
      return { kind: row.kind, priceMicroCents: Number(row.price_micro_cents) }
    case 'custom_dynamic':
      return { kind: row.kind, factors: row.factors! }
  }
}

/** Terms as they are set. */
export type NewOverride =
  | ({ subject: PriceOverride['subject']; scope: PriceScope } & PriceTerms)
  | Omit<Markup, 'id'>

/** Sets the terms for a subject and scope, in place of those that were there. */
export async function setOverride<Given extends NewOverride>(
  db: Db,
  given: Given & { note?: string | undefined },
): Promise<Given extends { kind: 'percentage_markup' } ? StoredMarkup : StoredOverride>
export async function setOverride(
  db: Db,
  given: NewOverride & { note?: string | undefined },
): Promise<Stored> {
  const { subject, scope, note, ...terms } = given
  const of = subject === 'everybody' ? undefined : subject
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
      newId('override', await databaseTime(db)),
      of !== undefined && 'userId' in of ? of.userId : null,
      of !== undefined && 'segment' in of ? of.segment : null,
      scope !== 'all' && 'providerId' in scope ? scope.providerId : null,
      scope !== 'all' && 'modelSlug' in scope ? scope.modelSlug : null,
      terms.kind,
      'percentage' in terms ? terms.percentage : null,
      terms.kind === 'fixed_price' ? terms.priceMicroCents : null,
      terms.kind === 'custom_dynamic' ? JSON.stringify(terms.factors) : null,
      note ?? null,
    ],
  )
  return toStored(rows[0]!)
}

/** All overrides and markups, or the overrides of one user or segment; oldest first. */
export async function listOverrides(
  db: Db,
  subject?: { userId: string } | { segment: string },
): Promise<Stored[]> {
  const { rows } = await db.query<OverrideRow>(
    `select ${columns} from price_overrides
     where ($1::text is null or user_id = $1) and ($2::text is null or segment = $2) order by created_at, id`,
    [
      subject !== undefined && 'userId' in subject ? subject.userId : null,
      subject !== undefined && 'segment' in subject ? subject.segment : null,
    ],
  )
  return rows.map(toStored)
}

/** The markups alone, oldest first. */
export async function listMarkups(db: Db): Promise<StoredMarkup[]> {
  return (await listOverrides(db)).filter((stored) => stored.kind === 'percentage_markup')
}

/** The others, which are for users and segments. */
export function ofCustomers(stored: Stored[]): StoredOverride[] {
  return stored.filter((each) => each.kind !== 'percentage_markup')
}

/** What the policy needs of them: without notes and dates. */
export async function loadOverrides(db: Db): Promise<(PriceOverride | Markup)[]> {
  return (await listOverrides(db)).map(({ note: _, createdAt: __, ...override }) => override)
}

/** Takes an override or markup away; false if there is none of this id. */
export async function removeOverride(db: Db, id: string, only: 'any' | 'markup' = 'any'): Promise<boolean> {
  const { rowCount } = await db.query(
    "delete from price_overrides where id = $1 and ($2 = 'any' or kind = 'percentage_markup')",
    [id, only],
  )
  return rowCount === 1
}
