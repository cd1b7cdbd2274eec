// The new standard: the model is part of the path, video only.
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

interface Content {
  type: string
  text?: string
  url?: string
  id?: string
  element_id?: unknown
}

interface Body {
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
interface Parts {
  body: Body
  settings: NonNullable<Body['settings']>
  of(type: string): Content[]
  /** The kinds of the named elements, undefined for those that the account does not have. */
  elements: (string | undefined)[]
}

interface Rules {
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

const aspectRatio = oneOf('16:9', '9:16', '1:1')
const fiveOrTen = { enum: [5, 10] }
const options = record({
  callback_url: anyText,
  external_task_id: anyText,
  watermark_info: record({ enabled: flag }),
})

const prompt = (length: number) => record({ type: anything, text: text(length) }, ['text'])
const frame = record({ type: anything, url: anyText }, ['url'])
const named = record({ type: anything, url: anyText, id: anyText }, ['url'])
const element = record({ type: anything, element_id: anything, id: anyText }, ['element_id', 'id'])
const voice = record({ type: anything, voice_id: anyText, id: anyText }, ['voice_id', 'id'])

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

function omni(model: 'kling-3.0-omni' | 'kling-o1', promptLength: number): Rules {
  const isO1 = model === 'kling-o1'
  return {
    product: 'omni-video',
    model,
    promptLength,
    settings: {
      ...(!isO1 && { multi_shot: flag }),
      audio: isO1 ? oneOf('original', 'off') : oneOf('native', 'original', 'off'),
      resolution: isO1 ? oneOf('720p', '1080p') : oneOf('720p', '1080p', '4k'),
      aspect_ratio: aspectRatio,
      duration: between(3, isO1 ? 10 : 15),
    },
    contents: {
      prompt: prompt(promptLength),
      first_frame: named,
      last_frame: named,
      refer_image: named,
      feature_video: named,
      base_video: named,
      element,
    },
    rules: (parts) => [...omniRules(parts), ...(isO1 ? o1Rules(parts) : omniCounts(parts))],
    video: (_, field, value) => ({
      field,
      value,
      kind: 'video',
      maxMegabytes: 200,
      ...(isO1
        ? { seconds: [3, 10], sides: [700, 2160] }
        : {
            seconds: [3, 15.5],
            sides: [700, 4553],
            maxArea: 8_294_400,
            ratio: [0.4, 2],
            framesPerSecond: [24, 60],
          }),
    }),
  }
}

function omniRules({ settings, of }: Parts): Rule[] {
  const [feature, base, first] = [of('feature_video'), of('base_video'), of('first_frame')].map(
    ({ length }) => length,
  )
  const hasVideo = feature! + base! > 0
  return [
    [feature! + base! > 1, 'contents: at most one video'],
    [feature! > 0 && settings.multi_shot === false, 'feature_video needs settings.multi_shot'],
    [feature! > 0 && (settings.audio ?? 'off') !== 'off', 'feature_video needs settings.audio off'],
    [base! > 0 && first! > 0, 'base_video takes no first_frame or last_frame'],
    [base! > 0 && settings.multi_shot === true, 'base_video takes no settings.multi_shot'],
    [base! > 0 && settings.audio === 'native', 'base_video takes no native audio'],
    [!hasVideo && first === 0 && settings.aspect_ratio === undefined, 'settings.aspect_ratio is required'],
  ]
}

function omniCounts({ of, elements }: Parts): Rule[] {
  const frames = of('first_frame').length + of('last_frame').length
  const images = frames + of('refer_image').length
  const films = elements.filter((kind) => kind === 'video_refer').length
  const drawn = elements.length - films
  const hasVideo = of('feature_video').length + of('base_video').length > 0
  return [
    [frames > 0 && elements.length > 3, 'contents: at most 3 elements beside frames'],
    [!hasVideo && films === 0 && images + drawn > 7, 'contents: at most 7 images and elements'],
    [!hasVideo && films > 0 && images + elements.length > 4, 'contents: at most 4 images and elements'],
    [films > 3, 'contents: at most 3 video-character elements'],
    [hasVideo && images + drawn > 4, 'contents: at most 4 images and elements beside a video'],
    [hasVideo && films > 1, 'contents: at most one video-character element beside a video'],
    [hasVideo && films > 0 && drawn > 0, 'contents: one kind of elements beside a video'],
    [hasVideo && films > 0 && images > 0, 'contents: no images beside a video and a video-character element'],
  ]
}

function o1Rules({ of, settings, elements }: Parts): Rule[] {
  const [first, last, refer] = [of('first_frame'), of('last_frame'), of('refer_image')].map(
    ({ length }) => length,
  )
  const count = first! + last! + refer! + elements.length
  const hasVideo = of('feature_video').length + of('base_video').length > 0
  const isFirstOnly = first === 1 && count === 1 && !hasVideo
  return [
    [elements.includes('video_refer'), 'contents: this model takes no video-character elements'],
    [count > (hasVideo ? 4 : 7), `contents: at most ${hasVideo ? 4 : 7} images and elements`],
    [
      last === 1 && refer! + elements.length > 0,
      'first_frame and last_frame take no elements and no other images',
    ],
    [
      isFirstOnly && ![5, 10].includes(settings.duration ?? 5),
      'settings.duration must be 5 or 10 with first_frame only',
    ],
  ]
}

function motion(model: 'kling-3.0' | 'kling-2.6'): Rules {
  return {
    product: 'motion-control',
    model,
    promptLength: 2500,
    settings: {
      character_orientation: oneOf('image', 'video'),
      audio: oneOf('original', 'off'),
      resolution: oneOf('720p', '1080p'),
    },
    required: ['character_orientation'],
    contents: { prompt: prompt(2500), image: frame, video: frame, ...(model === 'kling-3.0' && { element }) },
    rules: ({ of, elements }) => [
      [of('image').length !== 1, 'contents must have one image'],
      [of('video').length !== 1, 'contents must have one video'],
      [elements.length > 1, 'contents: at most one element'],
    ],
    video: ({ settings }, field, value) => ({
      field,
      value,
      kind: 'video',
      maxMegabytes: 100,
      sides: [340, 3850],
      seconds: [3, settings.character_orientation === 'video' ? 30 : 10],
    }),
  }
}
