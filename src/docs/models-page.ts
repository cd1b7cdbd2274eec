import type { Catalogue } from '../catalogue/load.ts'
import { dollars } from '../dollars.ts'
import { modelPath } from './model-page.ts'
import { baseCost, defaultPrice } from './model-pricing.ts'
import type { DocumentedModel } from './subject.ts'
import { plain, sections, table } from './text.ts'

/** What the list of models is narrowed down by. */
export interface ModelFilter {
  category?: string
  capability?: string
  provider?: string
}

type Names = Pick<Catalogue, 'providers' | 'capabilities'> & { categories: Record<string, { name: string }> }

const filterNames = ['category', 'capability', 'provider'] as const

/** The filter in a query string, without values that no model has. */
export function readFilter(query: Record<string, unknown>, models: DocumentedModel[]): ModelFilter {
  const entries = filterNames.flatMap((name) => {
    const found = models.some((model) => traitOf(model, name) === query[name])
    return found ? [[name, query[name]]] : []
  })
  return Object.fromEntries(entries)
}

function traitOf(model: DocumentedModel, name: (typeof filterNames)[number]): string {
  return name === 'provider' ? model.provider.id : model[name]
}

function fits(model: DocumentedModel, filter: ModelFilter): boolean {
  return filterNames.every((name) => filter[name] === undefined || filter[name] === traitOf(model, name))
}

/** `/docs/models` with its query; a capability says its category by itself. */
export function filterPath({ category, capability, provider }: ModelFilter): string {
  const query = new URLSearchParams({
    ...(category !== undefined && capability === undefined && { category }),
    ...(capability !== undefined && { capability }),
    ...(provider !== undefined && { provider }),
  }).toString()
  return query === '' ? '/docs/models' : `/docs/models?${query}`
}

/** The list of models by provider, with links that narrow it down. */
export function modelsPage(models: DocumentedModel[], filter: ModelFilter, names: Names): string {
  const shown = models.filter((model) => fits(model, filter))
  const category = filter.category ?? shown.find(() => filter.capability !== undefined)?.category
  return sections(
    '# Models',
    `${shown.length} ${shown.length === 1 ? 'model' : 'models'}. Each page has the input fields, the price and ready samples.`,
    choices(
      'Category',
      'category',
      category,
      models,
      { ...without(filter, 'capability') },
      (id) => names.categories[id]?.name ?? id,
    ),
    choices(
      'Capability',
      'capability',
      filter.capability,
      models.filter((model) => category === undefined || model.category === category),
      { ...filter, ...(category !== undefined && { category }) },
      (id) => names.capabilities[id]?.name ?? id,
    ),
    choices('Provider', 'provider', filter.provider, models, filter, (id) => names.providers[id]?.name ?? id),
    ...[...Map.groupBy(shown, ({ provider }) => provider.id)].map(([id, members]) =>
      providerSection(id, members, names),
    ),
  )
}

function without(filter: ModelFilter, name: keyof ModelFilter): ModelFilter {
  const { [name]: _, ...rest } = filter
  return rest
}

// Only choices that leave something to show.
function choices(
  title: string,
  name: keyof ModelFilter,
  chosen: string | undefined,
  models: DocumentedModel[],
  filter: ModelFilter,
  label: (id: string) => string,
): string {
  const others = without(filter, name)
  const ids = [...new Set(models.filter((model) => fits(model, others)).map((model) => traitOf(model, name)))]
  const link = (text: string, target: ModelFilter, isChosen: boolean) =>
    isChosen ? `**${plain(text)}**` : `[${plain(text)}](${filterPath(target)})`
  return [
    `${title}: ${link('All', others, chosen === undefined)}`,
    ...ids.sort().map((id) => link(label(id), { ...others, [name]: id }, id === chosen)),
  ].join(' ')
}

function providerSection(id: string, models: DocumentedModel[], { providers, capabilities }: Names): string {
  const provider = providers[id]
  return sections(
    `## ![](/docs/logos/${id}.svg) ${plain(provider?.name ?? id)}`,
    provider &&
      `${plain(provider.description)} [${plain(new URL(provider.website).hostname.replace(/^www\./, ''))}](${provider.website})`,
    table(
      ['Model', 'Capability', 'Base cost', 'By default'],
      models.map((model) => [
        `[${plain(model.name)}](${modelPath(model)})`,
        plain(capabilities[model.capability]?.name ?? model.capability),
        baseCost(model.current.pricing).replace(/^.*\((.*)\)$/, '$1'),
        dollars(defaultPrice(model.current).price.costMicroCents),
      ]),
    ),
  ).trimEnd()
}

/** What search finds a model by. */
export function modelKeywords(model: DocumentedModel): string {
  const fields = Object.keys(model.current.inputSchema.properties as object)
  return [model.slug, model.provider.name, ...model.tags, ...fields, ...model.notes].join(' ')
}
