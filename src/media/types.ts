const megabyte = 1_048_576

export type InputKind = 'image' | 'video' | 'audio'

/** What a customer's file of each kind may weigh: as much as an upload of it. */
export const maxInputBytes: Record<InputKind, number> = {
  image: 10 * megabyte,
  video: 100 * megabyte,
  audio: 50 * megabyte,
}

/** A type of files: as people call it, its file extension, and the other names that it goes by. */
interface TypeFacts {
  name: string
  extension: string
  aliases: string[]
}

/** The types of files that customers may hand in (contract: "Uploads"). What is accepted anywhere follows from here. */
const facts = {
  'image/jpeg': {
    name: 'JPEG',
    extension: 'jpg',
    aliases: ['image/jpg', 'image/jpe', 'image/jfif', 'image/pjpeg', 'image/x-jpeg', 'image/x-jpg'],
  },
  'image/png': {
    name: 'PNG',
    extension: 'png',
    aliases: ['image/x-png', 'image/apng', 'image/vnd.mozilla.apng'],
  },
  'image/webp': { name: 'WebP', extension: 'webp', aliases: ['image/x-webp'] },
  'image/gif': { name: 'GIF', extension: 'gif', aliases: ['image/x-gif'] },
  'image/avif': { name: 'AVIF', extension: 'avif', aliases: ['image/avif-sequence'] },
  'image/heic': { name: 'HEIC', extension: 'heic', aliases: ['image/heic-sequence', 'image/x-heic'] },
  'image/heif': { name: 'HEIF', extension: 'heif', aliases: ['image/heif-sequence', 'image/x-heif'] },
  'image/bmp': {
    name: 'BMP',
    extension: 'bmp',
    aliases: ['image/x-ms-bmp', 'image/x-bmp', 'image/x-windows-bmp'],
  },
  'image/tiff': { name: 'TIFF', extension: 'tiff', aliases: ['image/tif', 'image/x-tiff', 'image/x-tif'] },
  'video/mp4': { name: 'MP4', extension: 'mp4', aliases: ['video/mpeg4', 'video/x-mp4', 'application/mp4'] },
  'video/webm': { name: 'WebM', extension: 'webm', aliases: ['video/x-webm'] },
  'video/quicktime': {
    name: 'MOV',
    extension: 'mov',
    aliases: ['video/mov', 'video/x-mov', 'video/x-quicktime'],
  },
  'video/x-m4v': { name: 'M4V', extension: 'm4v', aliases: ['video/m4v', 'video/mp4v'] },
  'video/x-matroska': {
    name: 'MKV',
    extension: 'mkv',
    aliases: ['video/matroska', 'video/mkv', 'video/x-mkv'],
  },
  'audio/mpeg': {
    name: 'MP3',
    extension: 'mp3',
    aliases: [
      'audio/mp3',
      'audio/mpg',
      'audio/mpeg3',
      'audio/x-mp3',
      'audio/x-mpg',
      'audio/x-mpeg',
      'audio/x-mpeg-3',
      'audio/x-mpegaudio',
    ],
  },
  'audio/wav': {
    name: 'WAV',
    extension: 'wav',
    aliases: ['audio/wave', 'audio/x-wav', 'audio/x-wave', 'audio/x-pn-wav', 'audio/vnd.wave'],
  },
  'audio/mp4': { name: 'M4A', extension: 'm4a', aliases: ['audio/x-m4a', 'audio/m4a', 'audio/x-mp4'] },
  'audio/aac': {
    name: 'AAC',
    extension: 'aac',
    aliases: ['audio/x-aac', 'audio/aacp', 'audio/x-hx-aac-adts'],
  },
  'audio/ogg': {
    name: 'OGG',
    extension: 'ogg',
    aliases: ['audio/x-ogg', 'audio/opus', 'audio/vorbis', 'application/ogg', 'application/x-ogg'],
  },
  'audio/flac': { name: 'FLAC', extension: 'flac', aliases: ['audio/x-flac'] },
} satisfies Record<string, TypeFacts>

export type MediaType = keyof typeof facts

export const mediaTypes = Object.keys(facts) as MediaType[]

export function typeFacts(type: MediaType): TypeFacts {
  return facts[type]
}

export function kindOf(type: MediaType): InputKind {
  return type.slice(0, type.indexOf('/')) as InputKind
}

const byName = new Map<string, MediaType>(
  mediaTypes.flatMap((type) => [type, ...typeFacts(type).aliases].map((name) => [name, type] as const)),
)

/** The type that is meant by a name as programs send it: in any case, with parameters, or by one of its aliases. */
export function mediaTypeOf(name: string): MediaType | undefined {
  return byName.get(name.split(';')[0]!.trim().toLowerCase())
}

/**
 * Types of one container. The first bytes don't tell them apart for certain: a sound may be in a file that begins as films
 * do, and phones rename one to another.
 */
const families: MediaType[][] = [
  ['image/avif', 'image/heic', 'image/heif'],
  ['video/mp4', 'video/quicktime', 'video/x-m4v', 'audio/mp4'],
  ['video/webm', 'video/x-matroska'],
]

/** Whether a file that looks like `found` may be the file of type `wanted` that its sender says it is. */
export function mayBe(wanted: MediaType, found: MediaType | undefined): boolean {
  if (found === undefined || found === wanted) return found === wanted
  return families.some((family) => family.includes(wanted) && family.includes(found))
}

/** The types of one kind in words: "JPEG, PNG or WebP". */
export function namesOf(kind: InputKind): string {
  const names = mediaTypes.filter((type) => kindOf(type) === kind).map((type) => typeFacts(type).name)
  return `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`
}
