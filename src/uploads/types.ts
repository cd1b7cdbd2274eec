import { kindOf, maxInputBytes, mediaTypeOf, mediaTypes, typeFacts } from '../media/types.ts'

/** Types that may be uploaded, with the most bytes of each and the file extension (contract: "Uploads"). */
export const uploadTypes: Record<string, { maxBytes: number; extension: string }> = Object.fromEntries(
  mediaTypes.map((type) => [
    type,
    { maxBytes: maxInputBytes[kindOf(type)], extension: typeFacts(type).extension },
  ]),
)

/** The type that may be uploaded and is meant by a Content-Type: in any case, with parameters, by another name of it. */
export const readUploadType = mediaTypeOf
