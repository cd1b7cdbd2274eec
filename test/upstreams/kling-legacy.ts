// The legacy standard: the model is in the body, and so is everything else. Here what its products share, and the images.
import { digitsOf } from './kling-answers.ts'
import { type KlingMedia, picture } from './kling-media.ts'
import {
  type Account,
  anyText,
  anything,
  between,
  firstBroken,
  flag,
  formOf,
  isUrl,
  list,
  type Order,
  oneOf,
  type Product,
  type Rule,
  record,
  text,
} from './kling-product.ts'

/** The fields that rules look at; which of them a path takes is in its form. */
export interface LegacyBody {
  model_name?: string
  callback_url?: string
  external_task_id?: string
  watermark_info?: { enabled?: boolean }
  prompt?: string
  image?: string
  image_reference?: string
  human_fidelity?: number
  image_list?: { image?: string; image_url?: string; type?: string }[]
  element_list?: { element_id: unknown }[]
  n?: number
  result_type?: string
  resolution?: string
  series_amount?: number | 'auto'
  duration?: string
  mode?: string
}

export interface LegacyRules<Body extends LegacyBody> {
  path: string
  kind: Product['kind']
  /** The first is what a request without `model_name` gets; none where there is no choice. */
  models: string[]
  fields: Record<string, object>
  required: string[]
  rules(body: Body, model: string, account: Account): Rule[]
  media(body: Body): KlingMedia[]
  slots?(body: Body): number
  /** Where the model is not the body's to choose. */
  modelOf?(body: Body, account: Account): string
}

const common = {
  callback_url: anyText,
  external_task_id: anyText,
  watermark_info: record({ enabled: flag }),
  // the old name of model_name: taken, and not looked at
  model: anything,
}
const prompt = text(2500)
const fraction = between(0, 1, 'number')
const ratios = ['16:9', '9:16', '1:1', '4:3', '3:4', '3:2', '2:3', '21:9']
/** Which elements a request is made with. */
export const elementList = (maxItems: number) =>
  list(record({ element_id: anything }, ['element_id']), maxItems)
/** The types of `element_id` where the vendor calls it a long: a bare number. */
const isLong = (id: unknown) => typeof id === 'bigint' || Number.isSafeInteger(id)

/** A path of the legacy standard, from what is particular about it. */
export function legacyProduct<Body extends LegacyBody>(product: LegacyRules<Body>): Product {
  const { path, kind, models, fields, required } = product
  const choice = models.length > 0 && { model_name: oneOf(...models) }
  const form = formOf(record({ ...common, ...choice, ...fields }, required))
  return {
    generation: 'legacy',
    path,
    kind,
    read(given, account) {
      const fault = form(given, '')
      if (fault !== undefined) return fault
      const body = given as Body
      const model = body.model_name ?? models[0] ?? product.modelOf?.(body, account) ?? ''
      const rules = [...commonRules(body, account), ...product.rules(body, model, account)]
      return firstBroken(rules) ?? orderOf(product, body, model)
    },
  }
}

function orderOf<Body extends LegacyBody>(product: LegacyRules<Body>, body: Body, model: string): Order {
  return {
    model,
    slots: product.slots?.(body) ?? 1,
    ...(body.external_task_id !== undefined && { externalId: body.external_task_id }),
    ...(body.callback_url !== undefined && { callbackUrl: body.callback_url }),
    watermark: body.watermark_info?.enabled ?? false,
    duration: body.duration ?? '5',
    media: product.media(body),
  }
}

function commonRules(body: LegacyBody, { elements }: Account): Rule[] {
  const { callback_url: callback, element_list: named = [] } = body
  return [
    [callback !== undefined && !isUrl(callback), 'callback_url must be a URL'],
    [
      named.some(({ element_id: id }) => !elements.has(digitsOf(id) ?? '')),
      'element_list: element_id does not exist',
    ],
  ]
}

/** Refuses ids of elements in quotes, where the vendor asks for a number. */
export function longIds({ element_list: named = [] }: LegacyBody): Rule {
  return [named.some(({ element_id: id }) => !isLong(id)), 'element_list: element_id must be a long']
}

/** The pictures of an `image_list`, whatever the field with the picture is called there. */
export function listed({ image_list: images = [] }: LegacyBody): KlingMedia[] {
  return images.map(({ image, image_url: url }, index) =>
    picture(`image_list[${index}]`, image ?? url ?? '', 10),
  )
}

const generations = legacyProduct({
  path: '/v1/images/generations',
  kind: 'image',
  models: ['kling-v3', 'kling-v2-1'],
  fields: {
    prompt,
    negative_prompt: { type: 'string', maxLength: 2500 },
    image: anyText,
    image_reference: oneOf('subject', 'face'),
    image_fidelity: fraction,
    human_fidelity: fraction,
    element_list: elementList(100),
    resolution: oneOf('1k', '2k'),
    n: between(1, 9),
    aspect_ratio: oneOf(...ratios),
  },
  required: ['prompt'],
  rules: ({ image_reference: reference, human_fidelity: fidelity }, model) => [
    [reference !== undefined && model !== 'kling-v2-1', 'image_reference is not supported by this model'],
    [fidelity !== undefined && reference !== 'subject', 'human_fidelity needs image_reference subject'],
  ],
  media: ({ image }) => (image === undefined ? [] : [picture('image', image, 10)]),
  slots: ({ n = 1 }) => n,
})

const omniImage = legacyProduct({
  path: '/v1/images/omni-image',
  kind: 'image',
  models: ['kling-image-o1', 'kling-v3-omni'],
  fields: {
    prompt,
    image_list: list(record({ image: anyText }, ['image']), 10),
    element_list: elementList(10),
    resolution: oneOf('1k', '2k', '4k'),
    result_type: oneOf('single', 'series'),
    n: between(1, 9),
    series_amount: { anyOf: [between(2, 9), { const: 'auto' }] },
    aspect_ratio: oneOf(...ratios, 'auto'),
  },
  required: ['prompt'],
  rules: (body, model) => [
    longIds(body),
    [
      (body.image_list ?? []).length + (body.element_list ?? []).length > 10,
      'image_list and element_list together have at most 10 entries',
    ],
    [model === 'kling-image-o1' && body.resolution === '4k', 'resolution 4k is not supported by this model'],
  ],
  media: listed,
  slots: picturesOf,
})

/** How many pictures an order for pictures brings. */
export function picturesOf({ result_type: type, n = 1, series_amount: amount = 'auto' }: LegacyBody): number {
  if (type !== 'series') return n
  return amount === 'auto' ? 4 : amount
}

export const legacyImages: Product[] = [generations, omniImage]
