import type { Pricing } from '../pricing/price.ts'
import type { Stored } from './price-overrides.ts'

/** A price override or markup as operators are shown it: flat, with null for what does not apply. */
export interface OverrideDocument {
  id: string
  userId: string | null
  segment: string | null
  modelSlug: string | null
  providerId: string | null
  kind: Stored['kind']
  percentage: string | null
  priceMicroCents: number | null
  factors: Pricing['factors'] | null
  note: string | null
  createdAt: string
}

export function toDocument({ id, subject, scope, note, createdAt, ...terms }: Stored): OverrideDocument {
  const of = subject === 'everybody' ? undefined : subject
  return {
    id,
    userId: of !== undefined && 'userId' in of ? of.userId : null,
    segment: of !== undefined && 'segment' in of ? of.segment : null,
    modelSlug: scope !== 'all' && 'modelSlug' in scope ? scope.modelSlug : null,
    providerId: scope !== 'all' && 'providerId' in scope ? scope.providerId : null,
    kind: terms.kind,
    percentage: 'percentage' in terms ? terms.percentage : null,
    priceMicroCents: terms.kind === 'fixed_price' ? terms.priceMicroCents : null,
    factors: terms.kind === 'custom_dynamic' ? terms.factors : null,
    note,
    createdAt,
  }
}
