import { join } from 'node:path'

/** Where every server serves its sample files; no key is needed. */
export const samplesPath = '/samples/'

/** Of the sample files, by name. `tools/make-samples.ts` makes them. */
export const sampleTypes: Record<string, string> = {
  'image.jpg': 'image/jpeg',
  'second.jpg': 'image/jpeg',
  'start.jpg': 'image/jpeg',
  'end.jpg': 'image/jpeg',
  'dancer.jpg': 'image/jpeg',
  'hall.jpg': 'image/jpeg',
  'character-a.jpg': 'image/jpeg',
  'video.mp4': 'video/mp4',
  'dance.mp4': 'video/mp4',
  'rhythm.mp3': 'audio/mpeg',
}

export const samplesFolder = join(import.meta.dirname, 'files')

/** The file of an address like `https://films.example.com/samples/image.jpg` of the server at `origin`. */
export function sampleFileOf(address: string, origin: string | undefined): string | undefined {
  const url = URL.parse(address)
  if (url === null || url.origin !== origin || !url.pathname.startsWith(samplesPath)) return undefined
  const name = url.pathname.slice(samplesPath.length)
  return Object.hasOwn(sampleTypes, name) ? join(samplesFolder, name) : undefined
}

/** The examples of catalogue and declarations name the sample files so, as they know no server. */
const placeholder = 'https://example.com/'

/** A copy of an example in which every sample file has its real address at this server. */
export function withRealSamples<T>(example: T, origin: string): T {
  if (example === undefined) return example
  return JSON.parse(JSON.stringify(example), (_, value: unknown) => {
    if (typeof value !== 'string' || !value.startsWith(placeholder)) return value
    const name = value.slice(placeholder.length)
    return Object.hasOwn(sampleTypes, name) ? `${origin}${samplesPath}${name}` : value
  }) as T
}
