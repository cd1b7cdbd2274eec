import { type Catalogue, familyOf, type Model, type ModelVersion } from '../catalogue/load.ts'
import type { JsonSchema } from '../json-schema.ts'
import { amount, baseCost, defaultPrice, pricingText } from './model-pricing.ts'
import { modelSamples } from './model-samples.ts'
import { fieldTable } from './schema-table.ts'
import type { DocumentedModel } from './subject.ts'
import { code, plain, sections, table } from './text.ts'

/** Kling O1 — Image to Video */
export function titleOf(model: Model, capabilities: Catalogue['capabilities']): string {
  return `${model.name} — ${capabilities[model.capability]?.name ?? model.capability}`
}

export const modelPath = (model: Model) => `/docs/models/${model.slug}`

/** The page of one model, all of it from the catalogue. */
export function modelPage(
  model: DocumentedModel,
  context: { models: DocumentedModel[]; capabilities: Catalogue['capabilities']; origin: string },
): string {
  const { current } = model
  const capability = context.capabilities[model.capability]
  const media = current.mediaFields.length > 0
  return sections(
    `# ${plain(titleOf(model, context.capabilities))}`,
    plain(model.description),
    table(
      ['Property', 'Value'],
      [
        ['Slug', code(model.slug)],
        ['Provider', `[${plain(model.provider.name)}](/docs/models?provider=${model.provider.id})`],
        ['Model', plain(model.name)],
        [
          'Capability',
          `[${plain(capability?.name ?? model.capability)}](/docs/models?capability=${model.capability})`,
        ],
        ['Base cost', baseCost(current.pricing)],
        ['Default cost', amount(defaultPrice(current).price.costMicroCents)],
        ['Processing time', `about ${model.processingSeconds} seconds`],
        ...(model.tags.length === 0 ? [] : [['Tags', model.tags.map(plain).join(', ')]]),
      ],
    ),
    '## Try it',
    `Set ${code('FILMGATE_API_KEY')} to one of your keys first; with a test key the built-in [sandbox](/docs/test-mode) renders the job and no real money is spent. A job is rendered in the background: ask for it until it has ended, or name a ${code('webhookUrl')} and be [told](/docs/webhooks).`,
    modelSamples(model, context.origin),
    '## Input',
    `These fields go into ${code('input')}. Fields that are not listed are refused.${media ? ' Files are given by URL: any public one, or the `fileUrl` of an [upload](/docs/uploads).' : ''}`,
    fieldTable(current.inputSchema),
    rules(current.inputSchema),
    '## Pricing',
    pricingText(current),
    notes(model.notes),
    versions(model),
    siblings(model, context),
  )
}

function rules(schema: JsonSchema): string {
  const sum = schema.sumEqualsField as { array: string; item: string; field: string } | undefined
  const together = Object.entries((schema.dependentSchemas ?? {}) as Record<string, JsonSchema>)
  return sections(
    sum &&
      `Where every entry of ${code(sum.array)} has a ${code(sum.item)}, they must sum to the ${code(sum.field)} of the whole; where some have none, the others must leave room for them.`,
    ...together.map(
      ([field, rest]) => `Together with ${code(field)}, these are narrower:\n\n${fieldTable(rest)}`,
    ),
  ).trimEnd()
}

function notes(lines: string[]): string {
  return lines.length === 0
    ? ''
    : sections('## Notes', lines.map((line) => `- ${plain(line)}`).join('\n')).trimEnd()
}

function versions(model: DocumentedModel): string {
  const shown = model.versions.filter(({ status }) => status !== 'deleted').toReversed()
  return sections(
    '## Versions',
    `A job that names no ${code('version')} gets ${code(model.current.version)}. Old versions keep their price and fields: [how versions work](/docs/models-and-versions).`,
    table(
      ['Version', 'Status', 'Base cost'],
      shown.map((version) => [
        `${code(version.version)}${version === model.current ? ' (default)' : ''}`,
        version.status,
        baseCost(version.pricing),
      ]),
    ),
    ...shown
      .filter((version) => version !== model.current && version.status !== 'disabled')
      .map(otherVersion),
  ).trimEnd()
}

function otherVersion(version: ModelVersion): string {
  return sections(
    `### Version ${version.version}`,
    fieldTable(version.inputSchema),
    pricingText(version),
  ).trimEnd()
}

function siblings(
  model: DocumentedModel,
  { models, capabilities }: { models: DocumentedModel[]; capabilities: Catalogue['capabilities'] },
): string {
  const family = familyOf(model)
  const others = models.filter(({ slug }) => slug !== model.slug)
  const same = others.filter((other) => familyOf(other) === family)
  const near = others.filter(
    (other) =>
      !same.includes(other) &&
      other.provider.id === model.provider.id &&
      other.capability === model.capability,
  )
  const list = (found: DocumentedModel[]) =>
    found
      .map(
        (other) =>
          `- [${plain(titleOf(other, capabilities))}](${modelPath(other)}): from ${baseCost(other.current.pricing)}`,
      )
      .join('\n')
  if (same.length + near.length === 0) return ''
  return sections(
    '## Related models',
    same.length > 0 ? `${plain(model.name)} with another capability:` : '',
    list(same),
    near.length > 0
      ? `More ${plain(capabilities[model.capability]?.name ?? model.capability)} by ${plain(model.provider.name)}:`
      : '',
    list(near),
  ).trimEnd()
}
