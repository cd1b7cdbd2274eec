import { type Catalogue, checkInput, type Model } from '../catalogue/load.ts'
import { ApiError } from '../errors.ts'
import { type Issue, missing, nearest, sentence } from '../json-schema.ts'
import { type Price, price } from '../pricing/price.ts'

/** The model that a slug names: `provider/model/capability`, or `provider/model` where only one capability exists. */
export function findModel(catalogue: Catalogue, slug: string): Model {
  if (!/^[a-z0-9][a-z0-9.-]*(\/[a-z0-9][a-z0-9.-]*){1,2}$/.test(slug)) {
    throw new ApiError(
      'INVALID_MODEL_SLUG',
      `"${slug.slice(0, 100)}" is not a model slug: write it as provider/model/capability.`,
    )
  }
  const exact = catalogue.models.get(slug)
  if (exact !== undefined) return exact
  const slugs = [...catalogue.models.keys()]
  const capabilities = slugs.filter((known) => known.startsWith(`${slug}/`))
  if (capabilities[0] !== undefined && capabilities.length === 1)
    return catalogue.models.get(capabilities[0])!
  const guess = nearest(slug, slugs)
  const hint =
    capabilities.length > 1
      ? ` Name its capability: ${capabilities.join(', ')}.`
      : guess === undefined
        ? ''
        : ` Did you mean "${guess}"?`
  throw new ApiError('MODEL_NOT_FOUND', `There is no model "${slug.slice(0, 100)}".${hint}`)
}

/** The version that is asked for, or the newest active one. */
export function findVersion(model: Model, version: string | undefined): string {
  const found =
    version === undefined
      ? model.versions.findLast((candidate) => candidate.status === 'active')
      : model.versions.find((candidate) => candidate.version === version)
  if (found === undefined || found.status === 'deleted') {
    const known = model.versions.filter((candidate) => candidate.status === 'active')
    throw new ApiError(
      'MODEL_VERSION_NOT_FOUND',
      `${model.slug} has no version "${version?.slice(0, 100)}"; active: ${known.map((entry) => entry.version).join(', ')}.`,
    )
  }
  return found.version
}

/** The complete input of a job, defaults filled in; throws INVALID_INPUT with every problem. */
export function completeInput(model: Model, input: unknown): Record<string, unknown> {
  const checked = checkInput(model, input)
  if (checked.issues.length > 0) throw invalidInput(checked.issues)
  return checked.input
}

/** The same where fields may be missing; `isComplete` tells whether none that a job needs is. */
export function partialInput(
  model: Model,
  input: unknown,
): { input: Record<string, unknown>; isComplete: boolean } {
  const checked = checkInput(model, input)
  const wrong = checked.issues.filter((issue) => issue.message !== missing)
  if (wrong.length > 0) throw invalidInput(wrong)
  return { input: checked.input, isComplete: checked.issues.length === 0 }
}

function invalidInput(issues: Issue[]): ApiError {
  return new ApiError('INVALID_INPUT', sentence(issues, 'input'), { issues })
}

/** The price of a checked input. */
export function priceInput(model: Model, input: Record<string, unknown>): Price {
  const priced = price(model.pricing, input)
  if ('field' in priced) throw new Error(`${model.slug} has no price for ${priced.field} = ${priced.value}`)
  return priced
}
