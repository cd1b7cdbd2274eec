import type { Json, Unfit } from '../provider.ts'
import { shotSeconds } from '../shots.ts'
import { hasSound, type Order } from './order.ts'
import { maxShotLength, maxShots, sayPrompt, sayShots } from './prompt.ts'

export type Standard = 'new' | 'legacy'

const leaveOut = (path: string): Unfit => ({
  path,
  message: "is not possible with this model's upstream: leave it out.",
})

/** Which API generation makes it: the new one, wherever it can say what was asked for. */
export function standardOf({ model, negativePrompt, scale }: Order, hasApiKey: boolean): Standard {
  const isNew = model.path !== undefined && hasApiKey && negativePrompt === '' && scale === 0.5
  return isNew ? 'new' : 'legacy'
}

/** What of the input Kling can't do. */
export function unfitOf(order: Order, input: Record<string, Json>, standard: Standard): Unfit | undefined {
  return (
    unknownField(order, input) ??
    soundUnfit(order, input) ??
    cutsUnfit(order) ??
    referencesUnfit(order) ??
    lengthUnfit(order) ??
    promptUnfit(order, standard)
  )
}

function unknownField(
  { model, negativePrompt, scale }: Order,
  input: Record<string, Json>,
): Unfit | undefined {
  const takesNegative = model.family === 'text-to-video' || model.family === 'image-to-video'
  if (input.seed !== undefined) return leaveOut('seed')
  if (typeof input.work_id === 'string' && input.work_id !== '') return leaveOut('work_id')
  if (negativePrompt !== '' && !takesNegative) return leaveOut('negative_prompt')
  if (scale !== 0.5 && !model.takesScale) {
    return leaveOut(input.cfg_scale === undefined ? 'guidance_scale' : 'cfg_scale')
  }
  return undefined
}

function soundUnfit({ model, film, lastFrame }: Order, input: Record<string, Json>): Unfit | undefined {
  if (!hasSound(input)) return undefined
  const silent = (reason: string) => ({
    path: 'has_sound',
    message: `is not possible with ${reason} at this model's upstream: set it to false.`,
  })
  if (!model.hasSound) return silent('this model')
  if (film !== undefined) return silent('a video as reference')
  return model.isLimitedAt720p && lastFrame !== undefined ? silent('an end frame') : undefined
}

function cutsUnfit(order: Order): Unfit | undefined {
  const { model, shots, isCutByModel, film, filmRole, seconds = 0 } = order
  const isOneShot = !model.hasShots || (film !== undefined && filmRole === 'base')
  if (isCutByModel && isOneShot) return leaveOut('shot_type')
  if (shots.length === 0) return undefined
  const shot = (message: string): Unfit => ({ path: 'multishot', message })
  if (isOneShot) return leaveOut('multishot')
  if (isCutByModel) return shot('goes with shot_type customize: leave one of the two out.')
  if (shots.length > maxShots)
    return shot(`has more than the ${maxShots} shots that are possible: join some.`)
  if (shotSeconds(shots, seconds) === undefined) {
    return shot(`must fill ${seconds} seconds with at least one for each shot: change the durations.`)
  }
  const long = sayShots(order).findIndex(({ words }) => words.length > maxShotLength)
  if (long === -1) return undefined
  const path = `multishot[${long}].prompt`
  const message = `makes more than ${maxShotLength} characters together with prompt and what must be said of the references: shorten it or prompt.`
  return { path, message }
}

function referencesUnfit({ model, images, elements, firstFrame, film }: Order): Unfit | undefined {
  const voiced = elements.findIndex(({ hasVoice }) => hasVoice)
  if (voiced !== -1) return leaveOut(`elements[${voiced}].voice`)
  if (elements.length > 0 && model.maxElements === undefined) return leaveOut('elements')
  if (images > 0 && model.family !== 'omni-video') return leaveOut('images')
  const tooMany = (path: string, most: number): Unfit => ({
    path,
    message: `has more than the ${most} that are possible at this model's upstream: leave some out.`,
  })
  const mostElements = firstFrame === undefined ? (model.maxElements ?? 0) : 3
  if (elements.length > mostElements) return tooMany('elements', mostElements)
  const most = film === undefined ? 7 : 4
  if (images > most) return tooMany('images', most)
  return images + elements.length > most ? tooMany('elements', most - images) : undefined
}

function lengthUnfit({ model, seconds, lastFrame, images, elements, film }: Order): Unfit | undefined {
  if (seconds === undefined || seconds === 5 || seconds === 10 || !model.isFiveOrTenAlone) return undefined
  const isAlone = lastFrame === undefined && images === 0 && elements.length === 0 && film === undefined
  if (!isAlone) return undefined
  return { path: 'duration', message: "must be 5 or 10 with this model's upstream: give one of them." }
}

function promptUnfit(order: Order, standard: Standard): Unfit | undefined {
  const { prompt, firstFrame, film, images, elements, shots, model } = order
  const hasNothing = prompt.trim() === '' && shots.length === 0 && images + elements.length === 0
  if (hasNothing && firstFrame === undefined && film === undefined) {
    return { path: 'prompt', message: 'is needed where there is no reference: say what the video shows.' }
  }
  // the legacy standard has a place of its own for every shot
  if (standard === 'legacy' && shots.length > 0) return undefined
  const most = standard === 'new' ? model.maxPromptLength : 2500
  const over = sayPrompt(order).length - most
  if (over <= 0) return undefined
  const message = `is too long together with what must be said of the references: shorten it by ${over} characters.`
  return { path: shots.length > 0 ? 'multishot' : 'prompt', message }
}
