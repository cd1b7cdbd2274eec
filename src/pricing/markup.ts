import { type PriceScope, scopeRank } from './override.ts'
import type { Pricing } from './price.ts'

/** What everybody pays more than the catalogue says. `percentage` is an exact decimal from 0 to 1,000. */
export interface Markup {
  id: string
  subject: 'everybody'
  scope: PriceScope
  kind: 'percentage_markup'
  percentage: string
}

type Subject = { slug: string; provider: { id: string } }

/** The markup that counts for a model: the most specific alone, so that 0 % takes a model out of a wider one. */
export function markupFor(markups: Markup[], model: Subject): Markup | undefined {
  const ranked = markups.map((markup) => ({ markup, rank: scopeRank(markup.scope, model) }))
  const fitting = ranked.filter(({ rank }) => rank > 0)
  return fitting.toSorted((a, b) => b.rank - a.rank)[0]?.markup
}

/** The list price: the catalogue's with the markup that counts for the model. */
export function markedUp(pricing: Pricing, markups: Markup[], model: Subject): Pricing {
  const markup = markups.length === 0 ? undefined : markupFor(markups, model)
  return markup === undefined ? pricing : { ...pricing, markup: markup.percentage }
}
