// What the paths of the new standard have in common: how a body is put together, and the forms of its contents.
import type { KlingMedia } from './kling-media.ts'
import { anyText, anything, oneOf, type Rule, record, text } from './kling-product.ts'

/** One entry of `contents`, whatever its type. */
export interface Content {
  type: string
  text?: string
  url?: string
  id?: string
  element_id?: unknown
}

/** The fields that rules look at; which of them a path takes is in its form. */
export interface Body {
  prompt?: string
  contents?: Content[]
  settings?: {
    multi_shot?: boolean
    audio?: string
    resolution?: string
    aspect_ratio?: string
    duration?: number
    character_orientation?: string
  }
  options?: {
    callback_url?: string
    external_task_id?: string
    watermark_info?: { enabled?: boolean }
  }
}

/** A body of which the parts are sorted. */
export interface Parts {
  body: Body
  settings: NonNullable<Body['settings']>
  of(type: string): Content[]
  /** The kinds of the named elements, undefined for those that the account does not have. */
  elements: (string | undefined)[]
}

/** What is particular about one path. */
export interface Rules {
  product: string
  model: string
  settings: Record<string, object>
  required?: string[]
  /** The forms of contents by type; a product without them has a prompt at the top. */
  contents?: Record<string, object>
  promptLength: number
  rules(parts: Parts): Rule[]
  video?: (parts: Parts, field: string, value: string) => KlingMedia
}

/** The shapes of a film that a request may name. */
export const aspectRatio = oneOf('16:9', '9:16', '1:1')

/** The words, of at most so many characters. */
export const prompt = (length: number) => record({ type: anything, text: text(length) }, ['text'])
/** A picture or a film. */
export const frame = record({ type: anything, url: anyText }, ['url'])
/** A picture or a film that the words may refer to by its alias. */
export const named = record({ type: anything, url: anyText, id: anyText }, ['url'])
/** An element of the account, with the alias that the words refer to it by. */
export const element = record({ type: anything, element_id: anything, id: anyText }, ['element_id', 'id'])
/** A voice, with its alias. */
export const voice = record({ type: anything, voice_id: anyText, id: anyText }, ['voice_id', 'id'])
