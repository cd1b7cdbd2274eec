import type { PriceTerms } from '../pricing/override.ts'
import type { Pricing } from '../pricing/price.ts'
import type { StoredOverride } from './price-overrides.ts'

/** A price override as operators are shown it: flat, with null for what does not apply. */
export interface OverrideDocument {
  id: string
  userId: string | null
  segment: string | null
  modelSlug: string | null
  providerId: string | null
  kind: PriceTerms['kind']
  percentage: string | null
  priceMicroCents: number | null
  factors: Pricing['factors'] | null
  note: string | null
  createdAt: string
}

export function toDocument({
  id,
  subject,
  scope,
  note,
  createdAt,
  ...terms
}: StoredOverride): OverrideDocument {
  return {
    id,
    userId: 'userId' in subject ? subject.userId : null,
    segment: 'segment' in subject ? subject.segment : null,
    modelSlug: scope !== 'all' && 'modelSlug' in scope ? scope.modelSlug : null,
    providerId: scope !== 'all' && 'providerId' in scope ? scope.providerId : null,
    kind: terms.kind,
    percentage: terms.kind === 'percentage_discount' ? terms.percentage : null,
    priceMicroCents: terms.kind === 'fixed_price' ? terms.priceMicroCents : null,
    factors: terms.kind === 'custom_dynamic' ? terms.factors : null,
    note,
    createdAt,
  }
}
