import { fieldNames } from './field-names.ts'
import type { ProviderRequest, Refused } from './provider.ts'

/** Filled in where nobody has asked for anything. */
const usualRatio = '16:9'
/** A picture's shape may differ from the one that was asked for by this part. */
const slack = 0.1

/**
 * Where the first picture decides on the video's shape, as with every upstream of Kling's models: a picture that does not have
 * the shape that was asked for. What was asked for is not left out silently, and no other upstream has another shape to give.
 */
export function shapeRefusal({
  input,
  media,
}: Pick<ProviderRequest, 'input' | 'media'>): Refused | undefined {
  const asked = input.aspect_ratio
  const field = fieldNames.start.find((name) => media[name]?.[0] !== undefined)
  const picture = field && media[field]?.[0]
  if (picture?.kind !== 'image' || typeof asked !== 'string' || asked === usualRatio) return undefined
  const { width, height } = picture
  const [across = 1, down = 1] = asked.split(':').map(Number)
  if (Math.abs(Math.log((width / height) * (down / across))) <= Math.log(1 + slack)) return undefined
  const message = `${field}: The video takes the shape of the picture, ${width} × ${height}, which is not the aspect_ratio ${asked}: crop the picture or leave aspect_ratio out.`
  return { outcome: 'refused', code: 'INPUT_MEDIA_INVALID', message }
}
