import type { ExactJson } from '../exact-json.ts'
import type { Order } from './order.ts'
import { alias, legacyMentions, sayPrompt, sayShots } from './prompt.ts'

/** Files as Kling takes them: a URL, or of a picture its bytes in base64. */
export interface SaidMedia {
  firstFrame?: string
  lastFrame?: string
  film?: string
  images: string[]
}

/** An element that Kling has. The id has 64 bits. */
export interface ReadyElement {
  id: string
  alias: string
}

export interface BodyParts {
  order: Order
  media: SaidMedia
  elements: ReadyElement[]
  jobId: string
  callbackUrl: string | undefined
}

type Body = Record<string, ExactJson>

/** The body of a submit in the new standard. */
export function newBody(parts: BodyParts): Body {
  const { order, jobId, callbackUrl } = parts
  const prompt = sayPrompt(order)
  return {
    ...(order.model.family === 'text-to-video' ? { prompt } : { contents: contents(parts, prompt) }),
    settings: settings(order),
    options: {
      external_task_id: jobId,
      ...(callbackUrl !== undefined && { callback_url: callbackUrl }),
    },
  }
}

function contents({ order, media, elements }: BodyParts, prompt: string): Body[] {
  const { firstFrame, lastFrame, film, images } = media
  const isMotion = order.model.family === 'motion-control'
  const video = isMotion ? { type: 'video' } : { type: `${order.filmRole}_video`, id: alias('video', 0) }
  return [
    ...(prompt === '' ? [] : [{ type: 'prompt', text: prompt }]),
    ...(firstFrame === undefined ? [] : [{ type: isMotion ? 'image' : 'first_frame', url: firstFrame }]),
    ...(lastFrame === undefined ? [] : [{ type: 'last_frame', url: lastFrame }]),
    ...images.map((url, index) => ({ type: 'refer_image', url, id: alias('image', index) })),
    ...(film === undefined ? [] : [{ ...video, url: film }]),
    ...elements.map((element) => ({ type: 'element', element_id: element.id, id: element.alias })),
  ]
}

function settings(order: Order): Body {
  const { model, audio, resolution, aspectRatio, seconds, orientation } = order
  const isMotion = model.family === 'motion-control'
  const hasAudio = model.hasSound || isMotion || model.family === 'omni-video'
  return {
    // the vendor's own default is true
    ...(model.hasShots && { multi_shot: isMultiShot(order) || isExample(order) }),
    ...(hasAudio && { audio }),
    resolution,
    ...(aspectRatio !== undefined && { aspect_ratio: aspectRatio }),
    ...(seconds !== undefined && { duration: seconds }),
    ...(isMotion && { character_orientation: orientation }),
  }
}

function isMultiShot({ shots, isCutByModel }: Order): boolean {
  return shots.length > 0 || isCutByModel
}

/** The vendor takes such a film only with multi_shot. */
function isExample({ film, filmRole }: Order): boolean {
  return film !== undefined && filmRole === 'feature'
}

/** The body of a submit in the legacy standard. */
export function legacyBody(parts: BodyParts): Body {
  const { order, jobId, callbackUrl } = parts
  return {
    model_name: order.model.legacyName,
    mode: order.resolution === '1080p' ? 'pro' : 'std',
    ...legacyOwn(parts),
    ...(order.aspectRatio !== undefined && { aspect_ratio: order.aspectRatio }),
    ...(order.seconds !== undefined && { duration: String(order.seconds) }),
    external_task_id: jobId,
    ...(callbackUrl !== undefined && { callback_url: callbackUrl }),
  }
}

function legacyOwn(parts: BodyParts): Body {
  const { order, media } = parts
  const { firstFrame, lastFrame } = media
  if (order.model.family === 'motion-control') return legacyMotion(parts)
  if (order.model.family === 'omni-video') return { ...legacyWords(order), ...legacyOmni(parts) }
  return {
    ...legacyWords(order),
    ...(order.negativePrompt !== '' && { negative_prompt: order.negativePrompt }),
    ...(order.scale !== 0.5 && { cfg_scale: order.scale }),
    ...(firstFrame !== undefined && { image: firstFrame }),
    ...(lastFrame !== undefined && { image_tail: lastFrame }),
    ...legacyElements(parts),
  }
}

function legacyWords(order: Order): Body {
  const { model, audio, shots, isCutByModel } = order
  const sound = model.hasSound ? { sound: audio === 'native' ? 'on' : 'off' } : {}
  if (shots.length > 0) {
    const parts = sayShots(order).map(({ words, seconds }, index) => ({
      index: index + 1,
      prompt: legacyMentions(words),
      duration: String(seconds),
    }))
    return { ...sound, multi_shot: true, shot_type: 'customize', multi_prompt: parts }
  }
  const prompt = legacyMentions(sayPrompt(order))
  return {
    ...sound,
    ...(prompt !== '' && { prompt }),
    ...(isCutByModel && { multi_shot: true, shot_type: 'intelligence' }),
  }
}

function legacyOmni(parts: BodyParts): Body {
  const { order, media } = parts
  const { firstFrame, lastFrame, images, film } = media
  const pictures = [
    ...(firstFrame === undefined ? [] : [{ image_url: firstFrame, type: 'first_frame' }]),
    ...(lastFrame === undefined ? [] : [{ image_url: lastFrame, type: 'end_frame' }]),
    ...images.map((image_url) => ({ image_url })),
  ]
  const keep_original_sound = order.audio === 'original' ? 'yes' : 'no'
  const video_list = [{ video_url: film ?? '', refer_type: order.filmRole, keep_original_sound }]
  return {
    ...(pictures.length > 0 && { image_list: pictures }),
    ...(film !== undefined && { video_list }),
    ...(film !== undefined && order.filmRole === 'feature' && { aspect_ratio: '16:9' }),
    ...legacyElements(parts),
  }
}

function legacyMotion({ order, media }: BodyParts): Body {
  const prompt = order.prompt.trim()
  return {
    image_url: media.firstFrame ?? '',
    video_url: media.film ?? '',
    ...(prompt !== '' && { prompt }),
    character_orientation: order.orientation,
    keep_original_sound: order.audio === 'original' ? 'yes' : 'no',
  }
}

/** Here an id is a bare number, which a JavaScript number can't hold. */
function legacyElements({ elements }: BodyParts): Body {
  if (elements.length === 0) return {}
  return { element_list: elements.map(({ id }) => ({ element_id: BigInt(id) })) }
}
