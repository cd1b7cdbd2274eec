import { elementList, type LegacyBody, legacyProduct, listed, longIds } from './kling-legacy.ts'
import { type KlingMedia, picture } from './kling-media.ts'
import {
  anyText,
  between,
  flag,
  list,
  note,
  oneOf,
  type Product,
  type Rule,
  record,
  text,
} from './kling-product.ts'

interface VideoBody extends LegacyBody {
  negative_prompt?: string
  multi_shot?: boolean
  shot_type?: 'customize' | 'intelligence'
  multi_prompt?: { index: number; prompt: string; duration: string }[]
  sound?: 'on' | 'off'
  cfg_scale?: number
  camera_control?: { type: string; config?: Record<string, number> }
  aspect_ratio?: string
  image_tail?: string
  image_url?: string
  video_url?: string
  static_mask?: string
  dynamic_masks?: { mask: string }[]
  voice_list?: { voice_id: string }[]
  video_list?: { video_url: string; refer_type?: 'feature' | 'base' }[]
  video_id?: string
}

const negative = note(2500)
const fraction = between(0, 1, 'number')
const mode = oneOf('std', 'pro', '4k')
const plainMode = oneOf('std', 'pro')
const ratio = oneOf('16:9', '9:16', '1:1')
const duration = oneOf(...Array.from({ length: 13 }, (_, index) => String(index + 3)))
const turn = between(-10, 10, 'number')
const shots = {
  multi_shot: flag,
  shot_type: oneOf('customize', 'intelligence'),
  multi_prompt: list(
    record(
      { index: between(1, 6), prompt: text(512), duration: { type: 'string', pattern: '^[1-9][0-9]?$' } },
      ['index', 'prompt', 'duration'],
    ),
    6,
    1,
  ),
}
const film = {
  ...shots,
  prompt: note(2500),
  negative_prompt: negative,
  sound: oneOf('on', 'off'),
  cfg_scale: fraction,
  mode,
  duration,
  camera_control: record(
    {
      type: oneOf('simple', 'down_back', 'forward_up', 'right_turn_forward', 'left_turn_forward'),
      config: record({ horizontal: turn, vertical: turn, pan: turn, tilt: turn, roll: turn, zoom: turn }),
    },
    ['type'],
  ),
}
const point = record({ x: { type: 'integer' }, y: { type: 'integer' } }, ['x', 'y'])
const dynamicMask = record({ mask: anyText, trajectories: list(point, 77, 2) }, ['mask', 'trajectories'])
const textModels =
  'kling-v1 kling-v1-6 kling-v2-master kling-v2-1-master kling-v2-5-turbo kling-v2-6 kling-v3'.split(' ')

const text2video = legacyProduct<VideoBody>({
  path: '/v1/videos/text2video',
  kind: 'video',
  models: textModels,
  fields: { ...film, aspect_ratio: ratio },
  required: [],
  rules: (body, model) => [...shotRules(body), ...filmRules(body, model)],
  media: () => [],
})

const image2video = legacyProduct<VideoBody>({
  path: '/v1/videos/image2video',
  kind: 'video',
  models: [...textModels, 'kling-v1-5', 'kling-v2-1'],
  fields: {
    ...film,
    image: anyText,
    image_tail: anyText,
    static_mask: anyText,
    dynamic_masks: list(dynamicMask, 6, 1),
    element_list: elementList(3),
    voice_list: list(record({ voice_id: anyText }, ['voice_id']), 2),
  },
  required: [],
  rules: (body, model) => [...shotRules(body), ...filmRules(body, model), ...imageRules(body)],
  media: (body) => [
    ...['image', 'image_tail'].flatMap((field) => pictureOf(body, field as 'image' | 'image_tail')),
    ...maskPictures(body),
  ],
})

const omniVideo = legacyProduct<VideoBody>({
  path: '/v1/videos/omni-video',
  kind: 'video',
  models: ['kling-video-o1', 'kling-v3-omni'],
  fields: {
    ...shots,
    prompt: note(2500),
    image_list: list(
      record({ image_url: anyText, type: oneOf('first_frame', 'end_frame') }, ['image_url']),
      7,
    ),
    element_list: elementList(7),
    video_list: list(
      record(
        { video_url: anyText, refer_type: oneOf('feature', 'base'), keep_original_sound: oneOf('yes', 'no') },
        ['video_url'],
      ),
      1,
    ),
    sound: oneOf('on', 'off'),
    mode,
    aspect_ratio: ratio,
    duration,
  },
  required: [],
  rules: (body, model) => [...shotRules(body), ...omniRules(body, model)],
  media: (body) => [
    ...listed(body),
    ...(body.video_list ?? []).map(({ video_url: value }, index) => ({
      field: `video_list[${index}].video_url`,
      value,
      kind: 'video' as const,
      maxMegabytes: 200,
      seconds: [3, 10] as [number, number],
      sides: [720, 2160] as [number, number],
      framesPerSecond: [24, 60] as [number, number],
    })),
  ],
})

const multiImage = legacyProduct<VideoBody>({
  path: '/v1/videos/multi-image2video',
  kind: 'video',
  models: ['kling-v1-6'],
  fields: {
    prompt: text(2500),
    negative_prompt: negative,
    image_list: list(record({ image: anyText }, ['image']), 4, 1),
    mode: plainMode,
    duration: oneOf('5', '10'),
    aspect_ratio: ratio,
  },
  required: ['image_list', 'prompt'],
  rules: () => [],
  media: listed,
})

const motionControl = legacyProduct<VideoBody>({
  path: '/v1/videos/motion-control',
  kind: 'video',
  models: ['kling-v2-6', 'kling-v3'],
  fields: {
    image_url: anyText,
    video_url: anyText,
    prompt: note(2500),
    character_orientation: oneOf('image', 'video'),
    mode: plainMode,
    keep_original_sound: oneOf('yes', 'no'),
    element_list: elementList(1),
  },
  required: ['image_url', 'video_url', 'character_orientation', 'mode'],
  rules: () => [],
  media: ({ image_url: image = '', video_url: value = '' }) => [
    picture('image_url', image, 10),
    { field: 'video_url', value, kind: 'video', maxMegabytes: 100 },
  ],
})

const monthMs = 30 * 24 * 60 * 60 * 1000

const videoExtend = legacyProduct<VideoBody>({
  path: '/v1/videos/video-extend',
  kind: 'video',
  models: [],
  fields: { video_id: anyText, prompt: note(2500), negative_prompt: negative, cfg_scale: fraction },
  required: ['video_id'],
  modelOf: ({ video_id: id = '' }, account) => account.legacyVideo(id)?.model ?? '',
  rules: (body, model, { now, legacyVideo }) => {
    const parent = legacyVideo(body.video_id ?? '')
    const steers = body.negative_prompt !== undefined || body.cfg_scale !== undefined
    return [
      [parent === undefined, 'video_id does not exist'],
      [!['kling-v1', 'kling-v1-5', 'kling-v1-6'].includes(model), 'videos of this model cannot be extended'],
      [now - (parent?.endedAt ?? now) >= monthMs, 'video_id has expired'],
      [model === 'kling-v1' && steers, 'negative_prompt and cfg_scale are not supported by this model'],
    ]
  },
  media: () => [],
})

function shotRules({
  multi_shot: isCut = false,
  shot_type: type,
  multi_prompt: parts,
  prompt,
  duration = '5',
}: VideoBody): Rule[] {
  const isListed = isCut && type === 'customize'
  const total = (parts ?? []).reduce((sum, part) => sum + Number(part.duration), 0)
  return [
    [isCut && type === undefined, 'shot_type is required with multi_shot'],
    [!isListed && (prompt ?? '') === '', 'prompt is required'],
    [isListed && parts === undefined, 'multi_prompt is required with shot_type customize'],
    [isListed && total !== Number(duration), 'multi_prompt: durations must sum to duration'],
  ]
}

function filmRules(body: VideoBody, model: string): Rule[] {
  const { duration = '5', mode, cfg_scale: scale, camera_control: camera } = body
  const moves = Object.values(camera?.config ?? {}).filter((value) => value !== 0).length
  return [
    [model !== 'kling-v3' && !['5', '10'].includes(duration), 'duration must be 5 or 10 with this model'],
    [mode === '4k' && model !== 'kling-v3', 'mode 4k is not supported by this model'],
    [scale !== undefined && model.startsWith('kling-v2'), 'cfg_scale is not supported by this model'],
    [camera !== undefined && model !== 'kling-v1', 'camera_control is not supported by this model'],
    [
      camera?.type === 'simple' && moves !== 1,
      'camera_control.config must have exactly one value that is not 0',
    ],
    [camera?.config !== undefined && camera.type !== 'simple', 'camera_control.config is only for simple'],
  ]
}

function imageRules(body: VideoBody): Rule[] {
  const { image, image_tail: tail, static_mask: mask, dynamic_masks: masks, camera_control: camera } = body
  const ways = [tail, mask ?? masks, camera].filter((way) => way !== undefined).length
  const voices = body.voice_list?.length ?? 0
  return [
    [image === undefined && tail === undefined, 'image or image_tail is required'],
    [ways > 1, 'image_tail, masks and camera_control exclude one another'],
    [voices > 0 && (body.element_list?.length ?? 0) > 0, 'voice_list and element_list exclude one another'],
    [voices > 0 && body.sound !== 'on', 'voice_list needs sound on'],
  ]
}

function omniRules(body: VideoBody, model: string): Rule[] {
  const {
    image_list: images = [],
    element_list: elements = [],
    video_list: videos = [],
    duration = '5',
  } = body
  const types = images.map(({ type }) => type).filter((type) => type !== undefined)
  const hasFirst = types.includes('first_frame')
  const isEdit = videos.some(({ refer_type: type = 'base' }) => type === 'base')
  const most = videos.length > 0 ? 4 : 7
  return [
    longIds(body),
    [new Set(types).size < types.length, 'image_list: one first_frame and one end_frame'],
    [types.includes('end_frame') && !hasFirst, 'image_list: end_frame needs first_frame'],
    [
      images.length + elements.length > most,
      `image_list and element_list together have at most ${most} entries`,
    ],
    [videos.length > 0 && body.sound === 'on', 'sound must be off with video_list'],
    [!hasFirst && !isEdit && body.aspect_ratio === undefined, 'aspect_ratio is required'],
    [
      !isEdit && model === 'kling-video-o1' && Number(duration) > 10,
      'duration must be 3 to 10 with this model',
    ],
    [body.mode === '4k' && model !== 'kling-v3-omni', 'mode 4k is not supported by this model'],
  ]
}

function pictureOf(body: VideoBody, field: 'image' | 'image_tail'): KlingMedia[] {
  const value = body[field]
  return value === undefined ? [] : [picture(field, value, 10)]
}

function maskPictures({ static_mask: mask, dynamic_masks: masks = [] }: VideoBody): KlingMedia[] {
  const values = [...(mask === undefined ? [] : [mask]), ...masks.map((one) => one.mask)]
  return values.map((value) => ({ field: 'mask', value, kind: 'image', maxMegabytes: 10 }))
}

export const legacyVideos: Product[] = [
  text2video,
  image2video,
  omniVideo,
  multiImage,
  motionControl,
  videoExtend,
]
