import type { Caller } from '../accounts/authenticate.ts'
import { checkInput } from '../catalogue/check-input.ts'
import { type Catalogue, type Model, type ModelVersion, modelOf } from '../catalogue/load.ts'
import { slugHint } from '../catalogue/nearest-slug.ts'
import { ApiError } from '../errors.ts'
import { type Issue, missing, sentence } from '../json-schema.ts'
import { listPricing } from '../policy/list-price.ts'
import { overridesFor, type Policy } from '../policy/policy.ts'
import { currentVersion, statusOf } from '../policy/versions.ts'
import { isVisible, type Viewer, visibleModels } from '../policy/visibility.ts'
import { type AgreedPrice, agreedPrice } from '../pricing/override.ts'
import { type AddressCheck, addressIssues } from './media-addresses.ts'

/**
 * The model that a slug names: `provider/model/capability`, or `provider/model` where the viewer sees one capability
 * only. Hints name no model that the viewer can't see; who has no key is not even told that there is one.
 */
export function findModel(
  catalogue: Catalogue,
  policy: Policy,
  viewer: Viewer | undefined,
  slug: string,
): Model {
  if (!/^[a-z0-9][a-z0-9.-]*(\/[a-z0-9][a-z0-9.-]*){1,2}$/.test(slug)) {
    throw new ApiError(
      'INVALID_MODEL_SLUG',
      `"${slug.slice(0, 100)}" is not a model slug: write it as provider/model/capability.`,
    )
  }
  const exact = modelOf(catalogue, slug)
  if (exact !== undefined && isVisible(policy, viewer, exact)) return exact
  if (exact !== undefined && viewer !== undefined) {
    throw new ApiError('MODEL_ACCESS_DENIED', `The model ${slug} is not open to this account.`)
  }
  const visible = visibleModels(catalogue, policy, viewer)
  const capabilities = visible.filter((model) => model.slug.startsWith(`${slug}/`))
  if (capabilities[0] !== undefined && capabilities.length === 1) return capabilities[0]
  throw new ApiError('MODEL_NOT_FOUND', `There is no model "${slug.slice(0, 100)}".${hint(slug, visible)}`)
}

function hint(slug: string, visible: Model[]): string {
  const slugs = visible.map((model) => model.slug)
  const capabilities = slugs.filter((known) => known.startsWith(`${slug}/`))
  if (capabilities.length > 1) return ` Name its capability: ${capabilities.join(', ')}.`
  const text = slugHint(slug, slugs)
  return ` ${text[0]!.toUpperCase()}${text.slice(1)}${text.endsWith('?') ? '' : '.'}`
}

/** The version that is asked for, or the current one; throws unless it takes jobs. */
export function findVersion({ policy }: Caller, model: Model, version: string | undefined): ModelVersion {
  const found =
    version === undefined
      ? currentVersion(policy, model)
      : model.versions.find((candidate) => candidate.version === version)
  const status = found && statusOf(policy, model, found)
  if (found !== undefined && (status === 'active' || status === 'deprecated')) return found
  const usable = model.versions.filter((candidate) =>
    ['active', 'deprecated'].includes(statusOf(policy, model, candidate)),
  )
  const hint =
    usable.length === 0
      ? 'It has no version that takes jobs now.'
      : `Use ${usable.map((candidate) => candidate.version).join(' or ')}, or leave "version" out.`
  if (version !== undefined && status !== 'disabled') {
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

/** The same where fields without a price may be missing; `isComplete` tells whether none that a job needs is. */
export function partialInput(
  version: ModelVersion,
  input: unknown,
): { input: Record<string, unknown>; isComplete: boolean } {
  const checked = checkInput(version, input)
  const priced = Object.keys(version.pricing.factors).map((field) => `input.${field}`)
  const wrong = checked.issues.filter(({ path, message }) => message !== missing || priced.includes(path))
  if (wrong.length > 0) throw invalidInput(wrong)
  return { input: checked.input, isComplete: checked.issues.length === 0 }
}

/** Throws INVALID_INPUT where the input names a file that can't be fetched, whatever its server says. */
export function refuseUnfetchable(
  check: AddressCheck,
  version: ModelVersion,
  input: Record<string, unknown>,
  now: Date,
): void {
  const issues = addressIssues(check, version, input, now)
  if (issues.length > 0) throw invalidInput(issues)
}

function invalidInput(issues: Issue[]): ApiError {
  return new ApiError('INVALID_INPUT', sentence(issues, 'input'), { issues })
}

/** What a checked input costs this caller. */
export function priceInput(
  caller: Caller,
  model: Model,
  version: ModelVersion,
  input: Record<string, unknown>,
): AgreedPrice {
  const { policy } = caller
  const agreed = agreedPrice(listPricing(policy, model, version), overridesFor(policy, caller), model, input)
  if ('field' in agreed) throw new Error(`${model.slug} has no price for ${agreed.field} = ${agreed.value}`)
  return agreed
}
