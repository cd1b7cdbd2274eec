import { dollars } from '../dollars.ts'
import type { OverrideDocument } from '../policy/override-document.ts'
import { table } from './output.ts'

/** A table of overrides. */
export function describeOverrides(overrides: OverrideDocument[]): string[] {
  const rows = overrides.map((override) => [
    override.id,
    override.userId ?? override.segment ?? 'everybody',
    override.modelSlug ?? (override.providerId === null ? 'all models' : `all of ${override.providerId}`),
    describeTerms(override),
    override.note ?? '',
  ])
  return table([['id', 'user or segment', 'for', 'terms', 'note'], ...rows])
}

function describeTerms({ kind, percentage, priceMicroCents, factors }: OverrideDocument): string {
  if (percentage !== null) return kind === 'percentage_markup' ? `+ ${percentage} %` : `${percentage} % off`
  if (priceMicroCents !== null) return `${dollars(priceMicroCents)} a job`
  const options = Object.entries(factors ?? {}).flatMap(([field, known]) =>
    Object.entries(known).map(([option, multiplier]) => `${field}.${option} × ${multiplier}`),
  )
  return options.join(', ')
}
