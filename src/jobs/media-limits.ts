import type { MediaLimits } from '../catalogue/load.ts'
import type { InputMedia } from '../providers/provider.ts'

// The last picture or sound packet of a film often ends a little after the length that its maker gave it.
const toleranceSeconds = 0.1

/** Why a fetched file is outside the limits of its field, as a sentence for the customer. */
export function outsideLimits(file: InputMedia, limits: MediaLimits): string | undefined {
  const { minPixels = 0, minSeconds = 0, maxSeconds = Number.POSITIVE_INFINITY } = limits
  if (file.kind !== 'audio' && Math.min(file.width, file.height) < minPixels)
    return `The picture is ${file.width} × ${file.height}; each side must have at least ${minPixels} pixels.`
  if (file.kind === 'image') return undefined
  if (file.durationSeconds < minSeconds - toleranceSeconds)
    return `The file is ${file.durationSeconds} seconds long; it must be at least ${minSeconds}.`
  if (file.durationSeconds > maxSeconds + toleranceSeconds)
    return `The file is ${file.durationSeconds} seconds long; it may be at most ${maxSeconds}.`
  return undefined
}
