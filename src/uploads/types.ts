const mebibyte = 1_048_576

/** Types that may be uploaded, with the most bytes of each and the file extension (contract: "Uploads"). */
export const uploadTypes: Record<string, { maxBytes: number; extension: string }> = {
  'image/jpeg': { maxBytes: 10 * mebibyte, extension: 'jpg' },
  'image/png': { maxBytes: 10 * mebibyte, extension: 'png' },
  'image/webp': { maxBytes: 10 * mebibyte, extension: 'webp' },
  'image/gif': { maxBytes: 10 * mebibyte, extension: 'gif' },
  'video/mp4': { maxBytes: 100 * mebibyte, extension: 'mp4' },
  'video/webm': { maxBytes: 100 * mebibyte, extension: 'webm' },
  'audio/mpeg': { maxBytes: 50 * mebibyte, extension: 'mp3' },
  'audio/wav': { maxBytes: 50 * mebibyte, extension: 'wav' },
}

/** What operating systems, browsers and tools write in place of a type's own name. */
const otherNames: Record<string, string[]> = {
  'image/jpeg': ['image/jpg', 'image/jpe', 'image/jfif', 'image/pjpeg', 'image/x-jpeg', 'image/x-jpg'],
  'image/png': ['image/x-png'],
  'image/webp': ['image/x-webp'],
  'image/gif': ['image/x-gif'],
  'video/mp4': ['video/mpeg4', 'video/x-mp4', 'application/mp4'],
  'video/webm': ['video/x-webm'],
  'audio/mpeg': [
    'audio/mp3',
    'audio/mpg',
    'audio/mpeg3',
    'audio/x-mp3',
    'audio/x-mpg',
    'audio/x-mpeg',
    'audio/x-mpeg-3',
    'audio/x-mpegaudio',
  ],
  'audio/wav': ['audio/wave', 'audio/x-wav', 'audio/x-wave', 'audio/x-pn-wav', 'audio/vnd.wave'],
}

const typeOfName = new Map([
  ...Object.keys(uploadTypes).map((type) => [type, type] as const),
  ...Object.entries(otherNames).flatMap(([type, names]) => names.map((name) => [name, type] as const)),
])

/** The type that may be uploaded and is meant by a Content-Type: in any case, with parameters, by another name of it. */
export function readUploadType(contentType: string): string | undefined {
  const [essence = ''] = contentType.split(';', 1)
  return typeOfName.get(essence.trim().toLowerCase())
}
