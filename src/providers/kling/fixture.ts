import type {
  InputMedia,
  Json,
  PollOutcome,
  Provider,
  ProviderRequest,
  SubmitContext,
  SubmitOutcome,
} from '../provider.ts'

let jobs = 0

/** A job for tests, with an id of its own, of a model by the name that routes have for it. */
export function requestOf(
  model: string,
  input: Record<string, Json>,
  options: { settings?: Record<string, string>; media?: Record<string, InputMedia[]> } = {},
): ProviderRequest {
  const { settings, media = {} } = options
  jobs += 1
  return {
    jobId: `job-${jobs}`,
    model: { slug: 'kling/kling-3.0-pro/text-to-video', capability: 'text-to-video' },
    route: { upstream: 'kling', model, ...(settings !== undefined && { settings }) },
    input,
    media,
  }
}

export const fox = {
  prompt: 'A fox in the snow',
  duration: '5',
  has_sound: 'false',
  aspect_ratio: '16:9',
} satisfies Record<string, Json>

/** What comes with a submit where this server can't be reached from outside. */
export function contextOf(options: Partial<SubmitContext> = {}): SubmitContext {
  return {
    signal: AbortSignal.timeout(20_000),
    callbackUrl: undefined,
    publish: async () => undefined,
    ...options,
  }
}

export const call = () => ({ signal: AbortSignal.timeout(20_000) })

/** The operation of a submit that must be accepted. */
export async function accepted(outcome: Promise<SubmitOutcome>): Promise<Json> {
  const settled = await outcome
  if (settled.outcome === 'accepted') return settled.operation
  throw new Error(`${settled.outcome} ${'cause' in settled ? settled.cause : settled.message}`)
}

/** One in words: `suspended model`, `refused GENERATION_FAILED elsewhere`. */
export function inWords(outcome: SubmitOutcome): string {
  if (outcome.outcome === 'suspended') return `suspended ${outcome.scope} ${outcome.reason}`
  if (outcome.outcome !== 'refused') return outcome.outcome
  return `refused ${outcome.code}${outcome.elsewhere ? ' elsewhere' : ''}`
}

/** What becomes of one job. */
export async function pollOne(provider: Provider, operation: Json): Promise<PollOutcome> {
  const [outcome] = await provider.poll([operation], call())
  return outcome!
}
