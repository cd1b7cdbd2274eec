import { bareNumber, digitsOf, klingError, success } from './kling-answers.ts'
import { type LegacyBody, legacyProduct } from './kling-legacy.ts'
import { type KlingMedia, picture } from './kling-media.ts'
import {
  anyText,
  type ElementKind,
  formOf,
  list,
  oneOf,
  type Product,
  record,
  text,
} from './kling-product.ts'
import type { Answer } from './protocol-server.ts'

interface ElementBody extends LegacyBody {
  element_name: string
  element_description: string
  reference_type: ElementKind
  element_image_list?: { frontal_image: string; refer_images: { image_url: string }[] }
  element_video_list?: { refer_videos: { video_url: string }[] }
}

/** The elements of the account, by the digits of their ids. */
export interface Elements {
  kinds: ReadonlyMap<string, ElementKind>
  /** Makes one of a task that has succeeded; answers its digits. */
  make(body: unknown): string
  /** As a task shows it; without those that were deleted since. */
  show(digits: string): object[]
  delete(body: unknown): Answer
}

// Past 2^53, and so near to each other that as numbers they are all the same.
const firstId = 829_836_802_793_406_551n
const deletion = formOf(record({ element_id: {} }, ['element_id']))

export function openElements(): Elements {
  const kinds = new Map<string, ElementKind>()
  const bodies = new Map<string, ElementBody>()
  return {
    kinds,
    make(given) {
      const body = given as ElementBody
      const digits = String(firstId + BigInt(bodies.size))
      bodies.set(digits, body)
      kinds.set(digits, body.reference_type)
      return digits
    },
    show(digits) {
      const body = bodies.get(digits)
      if (body === undefined || !kinds.has(digits)) return []
      const { element_name, element_description, reference_type } = body
      return [{ element_id: bareNumber(digits), element_name, element_description, reference_type }]
    },
    delete(body) {
      const fault = deletion(body, '')
      if (fault !== undefined) return klingError(1201, { message: fault })
      const digits = digitsOf((body as { element_id: unknown }).element_id) ?? ''
      return kinds.delete(digits) ? success() : klingError(1201, { message: 'element_id does not exist' })
    },
  }
}

const images = record(
  {
    frontal_image: anyText,
    refer_images: list(record({ image_url: anyText }, ['image_url']), 3, 1),
  },
  ['frontal_image', 'refer_images'],
)
const videos = record({ refer_videos: list(record({ video_url: anyText }, ['video_url']), 1, 1) }, [
  'refer_videos',
])

export const customElements: Product = legacyProduct<ElementBody>({
  path: '/v1/general/advanced-custom-elements',
  kind: 'element',
  models: [],
  fields: {
    element_name: text(20),
    element_description: text(100),
    reference_type: oneOf('image_refer', 'video_refer'),
    element_image_list: images,
    element_video_list: videos,
    element_voice_id: anyText,
    tag_list: list(record({ tag_id: { type: 'string', pattern: '^o_10[1-8]$' } }, ['tag_id']), 8),
  },
  required: ['element_name', 'element_description', 'reference_type'],
  rules: ({ reference_type: type, element_image_list: pictures, element_video_list: films }) => [
    [type === 'image_refer' && pictures === undefined, 'element_image_list is required with image_refer'],
    [type === 'video_refer' && films === undefined, 'element_video_list is required with video_refer'],
  ],
  media: mediaOf,
  slots: () => 0,
})

function mediaOf({ element_image_list: pictures, element_video_list: films }: ElementBody): KlingMedia[] {
  const drawn =
    pictures === undefined
      ? []
      : [pictures.frontal_image, ...pictures.refer_images.map((one) => one.image_url)]
  return [
    ...drawn.map((value) => picture('element_image_list', value, 10)),
    ...(films?.refer_videos ?? []).map(
      ({ video_url: value }): KlingMedia => ({
        field: 'element_video_list.refer_videos',
        value,
        kind: 'video',
        maxMegabytes: 200,
        seconds: [3, 8],
        // 1080p, lying or standing
        sides: [1080, 1920],
        maxArea: 1920 * 1080,
      }),
    ),
  ]
}
