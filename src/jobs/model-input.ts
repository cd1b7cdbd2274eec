import { type Catalogue, checkInput, type Model, type ModelVersion } from '../catalogue/load.ts'
import { currentVersion } from '../catalogue/versions.ts'
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

/** The version that is asked for, or the current one; throws unless it takes jobs. */
export function findVersion(model: Model, version: string | undefined): ModelVersion {
  const found =
    version === undefined
      ? currentVersion(model)
      : model.versions.find((candidate) => candidate.version === version && candidate.status !== 'deleted')
  if (found !== undefined && found.status !== 'disabled') return found
  const usable = model.versions.filter(({ status }) => status === 'active' || status === 'deprecated')
  const hint =
    usable.length === 0
      ? 'It has no version that takes jobs now.'
      : `Use ${usable.map((candidate) => candidate.version).join(' or ')}, or leave "version" out.`
  if (found === undefined && version !== undefined) {
    const text = `${model.slug} has no version "${version.slice(0, 100)}". ${hint}`
    throw new ApiError('MODEL_VERSION_NOT_FOUND', text)
  }
  const subject = found === undefined ? model.slug : `Version ${found.version} of ${model.slug}`
  throw new ApiError('MODEL_VERSION_NOT_ACTIVE', `${subject} takes no jobs now. ${hint}`)
}

/** The complete input of a job, defaults filled in; throws INVALID_INPUT with every problem. */
export function completeInput(version: ModelVersion, input: unknown): Record<string, unknown> {
  const checked = checkInput(version, input)
  if (checked.issues.length > 0) throw invalidInput(checked.issues)
  return checked.input
}

/** The same where fields may be missing; `isComplete` tells whether none that a job needs is. */
export function partialInput(
  version: ModelVersion,
  input: unknown,
): { input: Record<string, unknown>; isComplete: boolean } {
  const checked = checkInput(version, input)
  const wrong = checked.issues.filter((issue) => issue.message !== missing)
  if (wrong.length > 0) throw invalidInput(wrong)
  return { input: checked.input, isComplete: checked.issues.length === 0 }
}

function invalidInput(issues: Issue[]): ApiError {
  return new ApiError('INVALID_INPUT', sentence(issues, 'input'), { issues })
}

/** The price of a checked input. */
export function priceInput(version: ModelVersion, input: Record<string, unknown>): Price {
  const priced = price(version.pricing, input)
  if ('field' in priced) throw new Error(`there is no price for ${priced.field} = ${priced.value}`)
  return priced
}
