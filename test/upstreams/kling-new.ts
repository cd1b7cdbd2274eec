// The new standard: the model is part of the path, video only.
import { digitsOf } from './kling-answers.ts'
import {
  aspectRatio,
  type Body,
  element,
  frame,
  type Parts,
  prompt,
  type Rules,
  voice,
} from './kling-contents.ts'
import { picture } from './kling-media.ts'
import { motion, omni } from './kling-omni.ts'
import {
  type Account,
  anyText,
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

const fiveOrTen = { enum: [5, 10] }
const options = record({
  callback_url: anyText,
  external_task_id: anyText,
  watermark_info: record({ enabled: flag }),
})

const shapes: Record<string, { settings: Record<string, object>; promptLength: number }> = {
  'kling-3.0': {
    settings: {
      multi_shot: flag,
      audio: oneOf('native', 'off'),
      resolution: oneOf('720p', '1080p', '4k'),
      duration: between(3, 15),
    },
    promptLength: 3072,
  },
  'kling-3.0-turbo': {
    settings: { resolution: oneOf('720p', '1080p'), duration: between(3, 15) },
    promptLength: 3072,
  },
  'kling-2.6': {
    settings: { audio: oneOf('native', 'off'), resolution: oneOf('720p', '1080p'), duration: fiveOrTen },
    promptLength: 2500,
  },
  'kling-2.5-turbo': {
    settings: { resolution: oneOf('720p', '1080p'), duration: fiveOrTen },
    promptLength: 2500,
  },
}

const all: Rules[] = [
  ...Object.entries(shapes).flatMap(([model, { settings, promptLength }]) => [
    {
      product: 'text-to-video',
      model,
      settings: { ...settings, aspect_ratio: aspectRatio },
      promptLength,
      rules: (parts: Parts) => [...soundRules(model, parts), ...shotRules(model, parts)],
    },
    {
      product: 'image-to-video',
      model,
      settings,
      promptLength: model === 'kling-3.0' ? 3072 : 2500,
      contents: {
        prompt: prompt(model === 'kling-3.0' ? 3072 : 2500),
        first_frame: frame,
        ...(model !== 'kling-3.0-turbo' && { last_frame: frame }),
        ...(model === 'kling-3.0' && { element }),
        ...(model === 'kling-2.6' && { voice }),
      },
      rules: (parts: Parts) => [
        ...soundRules(model, parts),
        ...shotRules(model, parts),
        ...imageToVideoRules(model, parts),
      ],
    },
  ]),
  omni('kling-3.0-omni', 3072),
  omni('kling-o1', 2500),
  motion('kling-3.0'),
  motion('kling-2.6'),
]

/** Every path of the new standard. */
export const newProducts: Product[] = all.map((rules) => {
  const { contents, settings, required = [], product, model } = rules
  const formOfBody = formOf(
    contents === undefined
      ? record({ prompt: text(rules.promptLength), settings: record(settings), options }, ['prompt'])
      : record(
          {
            contents: list(
              { type: 'object', properties: { type: oneOf(...Object.keys(contents)) }, required: ['type'] },
              100,
              1,
            ),
            settings: record(settings, required),
            options,
          },
          required.length > 0 ? ['contents', 'settings'] : ['contents'],
        ),
  )
  const forms = Object.fromEntries(Object.entries(contents ?? {}).map(([type, form]) => [type, formOf(form)]))
  return {
    generation: 'new',
    path: `/${product}/${model}`,
    kind: 'video',
    read(given, account) {
      const fault = formOfBody(given, '')
      if (fault !== undefined) return fault
      const body = given as Body
      const odd = (body.contents ?? []).map((content, index) =>
        forms[content.type]?.(content, `contents[${index}]`),
      )
      const parts = partsOf(body, account)
      return (
        odd.find((one) => one !== undefined) ??
        commonFault(parts) ??
        firstBroken(rules.rules(parts)) ??
        orderOf(rules, parts)
      )
    },
  }
})

function partsOf(body: Body, account: Account): Parts {
  const of = (type: string) => (body.contents ?? []).filter((content) => content.type === type)
  const elements = of('element').map(({ element_id: id }) => account.elements.get(digitsOf(id) ?? ''))
  return { body, settings: body.settings ?? {}, of, elements }
}

function commonFault({ body, of, elements }: Parts): string | undefined {
  const aliases = (body.contents ?? []).flatMap(({ id }) => (id === undefined ? [] : [id]))
  const twice = ['prompt', 'first_frame', 'last_frame'].find((type) => of(type).length > 1)
  const callback = body.options?.callback_url
  return firstBroken([
    [callback !== undefined && !isUrl(callback), 'options.callback_url must be a URL'],
    [twice !== undefined, `contents may have one ${twice}`],
    [new Set(aliases).size < aliases.length, 'contents: id must be unique in a task'],
    [elements.includes(undefined), 'contents: element_id does not exist'],
    [of('last_frame').length > 0 && of('first_frame').length === 0, 'contents: last_frame needs first_frame'],
  ])
}

function orderOf({ model, video }: Rules, parts: Parts): Order {
  const { body, settings } = parts
  const media = (body.contents ?? []).flatMap(({ type, url }, index) => {
    if (url === undefined) return []
    const field = `contents[${index}].url`
    return [isVideo(type) ? video!(parts, field, url) : picture(field, url, 50)]
  })
  return {
    model,
    slots: 1,
    ...(body.options?.external_task_id !== undefined && { externalId: body.options.external_task_id }),
    ...(body.options?.callback_url !== undefined && { callbackUrl: body.options.callback_url }),
    watermark: body.options?.watermark_info?.enabled ?? false,
    duration: String(settings.duration ?? 5),
    media,
  }
}

function isVideo(type: string): boolean {
  return ['video', 'feature_video', 'base_video'].includes(type)
}

function soundRules(model: string, { settings }: Parts): Rule[] {
  const isSilent = settings.audio !== 'native' || settings.resolution === '1080p'
  return [[model === 'kling-2.6' && !isSilent, 'settings.audio native needs resolution 1080p']]
}

// "shot n, m, words; ..." in the prompt, unless shots are turned off.
function shotRules(model: string, { body, settings, of }: Parts): Rule[] {
  const words = body.prompt ?? of('prompt')[0]?.text ?? ''
  if (model !== 'kling-3.0' || settings.multi_shot === false || !/^\s*shot\s+\d+\s*,/.test(words)) return []
  const shots = words.split(';').flatMap((part) => (part.trim() === '' ? [] : [part.trim()]))
  const read = shots.map((shot) => /^shot\s+(\d+)\s*,\s*(\d+)\s*,(.*)$/s.exec(shot))
  const seconds = read.map((shot) => Number(shot?.[2] ?? 0))
  const total = seconds.reduce((sum, one) => sum + one, 0)
  return [
    [read.includes(null), 'prompt: each shot must be "shot n, m, words"'],
    [
      shots.length > 6 || read.some((shot, index) => Number(shot?.[1]) !== index + 1),
      'prompt: shots are 1 to 6',
    ],
    [read.some((shot) => [...(shot?.[3] ?? '')].length > 512), 'prompt: a shot has at most 512 characters'],
    [
      seconds.some((one) => one < 1) || total !== (settings.duration ?? 5),
      'prompt: shots must sum to the duration',
    ],
  ]
}

function imageToVideoRules(model: string, { settings, of, elements }: Parts): Rule[] {
  const isOld = model === 'kling-2.6' || model === 'kling-2.5-turbo'
  return [
    [of('first_frame').length === 0, 'contents must have a first_frame'],
    [elements.length > 3, 'contents: at most 3 elements'],
    [of('voice').length > 2, 'contents: at most 2 voices'],
    [of('voice').length > 0 && settings.audio !== 'native', 'contents: voice needs settings.audio'],
    [
      isOld && of('last_frame').length > 0 && settings.resolution !== '1080p',
      'first_frame and last_frame together need settings.resolution 1080p',
    ],
  ]
}
