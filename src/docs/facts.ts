import { type ApiErrorCode, apiErrors, jobFailures } from '../errors.ts'
import { kindOf, maxInputBytes, mediaTypes, typeFacts } from '../media/types.ts'
import { magicWords } from '../providers/sandbox/magic.ts'
import { addressOf, endpointPath } from './endpoint-page.ts'
import type { Facts } from './guides.ts'
import { modelPath, titleOf } from './model-page.ts'
import { defaultPrice } from './model-pricing.ts'
import { modelSamples } from './model-samples.ts'
import { inOrder, type Operation } from './operation.ts'
import { type Known, type SampleRequest, sampleOf, samples } from './samples.ts'
import type { DocumentedModel, Subject } from './subject.ts'
import { code, plain, sections, table } from './text.ts'

/** What the guides may ask for, from the code that does it. */
export function factsOf(subject: Subject): Facts {
  const { operations, models, capabilities, origin } = subject
  const shown = showcase(models)
  return {
    origin: () => origin,
    error: (name) => errorLink(name as ApiErrorCode),
    operation: (address) => operationLink(operations, address),
    sample: (address) => samples(sampleOf(find(operations, address), knownOf(subject))),
    errors: errorReference,
    failures: () =>
      table(
        ['Code', 'Meaning'],
        Object.entries(jobFailures).map(([name, meaning]) => [code(name), plain(meaning)]),
      ),
    magic: () =>
      table(
        ['In the prompt', 'What happens'],
        magicWords.map(({ example, effect }) => [code(example), plain(effect)]),
      ),
    uploadTypes: () =>
      table(
        ['File', 'Type', 'Also known as', 'At most'],
        mediaTypes.map((type) => [
          typeFacts(type).name,
          code(type),
          typeFacts(type).aliases.map(code).join(', '),
          `${maxInputBytes[kindOf(type)] / 1_048_576}\u00a0MB`,
        ]),
      ),
    model: () => shown?.slug ?? 'provider/model/capability',
    estimate: () => (shown === undefined ? '' : samples(estimateOf(shown, origin))),
    defaultCost: () => String(shown === undefined ? 0 : defaultPrice(shown.current).price.costMicroCents),
    showcase: () => (shown === undefined ? '' : modelSamples(shown, origin)),
    showcaseLink: () =>
      shown === undefined ? 'a model' : `[${plain(titleOf(shown, capabilities))}](${modelPath(shown)})`,
    modelCount: () => String(models.length),
    providerCount: () => String(new Set(models.map(({ provider }) => provider.id)).size),
  }
}

/** What samples can name of this site. */
export function knownOf({ origin, models }: Subject): Known {
  const shown = showcase(models)
  if (shown === undefined) return { origin, ids: {} }
  return { origin, ids: { model: shown.slug, slug: shown.slug, providerId: shown.provider.id } }
}

function estimateOf({ slug, current }: DocumentedModel, origin: string): SampleRequest {
  const { input } = defaultPrice(current)
  return { method: 'POST', url: `${origin}/v1/jobs/estimate`, hasKey: true, body: { model: slug, input } }
}

// Needs no file as input, so that it can be tried at once.
function showcase(models: DocumentedModel[]): DocumentedModel | undefined {
  const preferred = 'kling-plus/kling-o3-standard/text-to-video'
  return (
    models.find(({ slug }) => slug === preferred) ??
    models.find(({ current }) => current.mediaFields.length === 0) ??
    models[0]
  )
}

function find(operations: Operation[], address: string): Operation {
  const found = operations.find((operation) => addressOf(operation) === address)
  if (found === undefined) throw new Error(`a guide shows ${address}, which is not declared`)
  return found
}

function operationLink(operations: Operation[], address: string): string {
  return `[${code(address)}](${endpointPath(find(operations, address))})`
}

function errorLink(name: ApiErrorCode): string {
  if (!Object.hasOwn(apiErrors, name))
    throw new Error(`a guide names the error ${name}, which does not exist`)
  return `[${code(name)}](/docs/errors#${name.toLowerCase()})`
}

function errorReference(): string {
  const codes = inOrder(Object.keys(apiErrors) as ApiErrorCode[])
  const overview = table(
    ['Status', 'Codes'],
    [...Map.groupBy(codes, (name) => apiErrors[name].status)].map(([status, members]) => [
      String(status),
      members.map(errorLink).join(' '),
    ]),
  )
  return sections(overview, ...codes.map(errorEntry)).trimEnd()
}

function errorEntry(name: ApiErrorCode): string {
  const { status, meaning, remedy, retryable } = apiErrors[name]
  return sections(
    `### ${name}`,
    `**${status}.** ${plain(meaning)} ${plain(remedy)} ${retryable ? '**Retryable:** the same request may succeed later.' : ''}`.trimEnd(),
  ).trimEnd()
}
