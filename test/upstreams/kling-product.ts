import type { ValidateFunction } from 'ajv/dist/2020.js'
import { check, compile, sentence } from '../../src/json-schema.ts'
import type { KlingMedia } from './kling-media.ts'

/** What a made element is of; the key of elements is the id's digits. */
export type ElementKind = 'image_refer' | 'video_refer'

/** What the rules of a request may look at besides the request. */
export interface Account {
  now: number
  elements: ReadonlyMap<string, ElementKind>
  /** The model and the end of the task that made a legacy video. */
  legacyVideo(id: string): { model: string; endedAt: number } | undefined
}

/** A condition that must not hold, and what is said if it does. */
export type Rule = [isBroken: boolean, message: string]

/** What was read out of a good body. */
export interface Order {
  model: string
  /** Places that it takes of those that a pack gives. */
  slots: number
  externalId?: string
  callbackUrl?: string
  watermark: boolean
  /** Seconds of film, as text. */
  duration: string
  media: KlingMedia[]
}

/** One path that takes orders. */
export interface Product {
  generation: 'new' | 'legacy'
  path: string
  kind: 'video' | 'image' | 'element'
  /** Reads a body: the order, or what is wrong with it. */
  read(body: unknown, account: Account): Order | string
}

/** True or false. */
export const flag = { type: 'boolean' }
/** Text of any length but none. */
export const anyText = { type: 'string', minLength: 1 }
/** What is looked at elsewhere, or not at all. */
export const anything = {}

/** Text of at most so many characters, and not none. */
export function text(maxLength: number): object {
  return { type: 'string', minLength: 1, maxLength }
}

/** Text of at most so many characters that may also be empty. */
export function note(maxLength: number): object {
  return { type: 'string', maxLength }
}

/** One of these words. */
export function oneOf(...values: string[]): object {
  return { enum: values }
}

/** A number from one to another, both included. */
export function between(minimum: number, maximum: number, type: 'integer' | 'number' = 'integer'): object {
  return { type, minimum, maximum }
}

/** So many of the same, at most and at least. */
export function list(items: object, maxItems: number, minItems = 0): object {
  return { type: 'array', items, maxItems, minItems }
}

/** Fields by their names; no others are taken. */
export function record(properties: Record<string, object>, required: string[] = []): object {
  return { type: 'object', additionalProperties: false, properties, required }
}

/** Says what is wrong with a value's form, if anything is. */
export function formOf(schema: object): (value: unknown, root: string) => string | undefined {
  let compiled: ValidateFunction | undefined
  return (value, root) => {
    compiled ??= compile(schema)
    const issues = check(compiled, value, root)
    return issues.length === 0 ? undefined : sentence(issues, root || 'body')
  }
}

/** The message of the first rule that is broken. */
export function firstBroken(rules: Rule[]): string | undefined {
  return rules.find(([isBroken]) => isBroken)?.[1]
}

/** Whether the text is an address of the web. */
export function isUrl(value: string): boolean {
  return ['http:', 'https:'].includes(URL.parse(value)?.protocol ?? '')
}
