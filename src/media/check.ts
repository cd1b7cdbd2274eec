import { readFile, stat } from 'node:fs/promises'
import { AudioSampleSink, type Input } from 'mediabunny'
import { startOf } from './films/play.ts'
import { expectAudioCodec, reasonFor } from './films/reasons.ts'
import { openMedia, picturesAt } from './frames.ts'
import { type InputKind, type MediaType, maxFramePixels, maxInputBytes, tooLarge } from './image.ts'
import { durationOf, endsInFile, sniffFile } from './inspect.ts'
import { decodePicture } from './pictures/decode.ts'
import { kindOf, mayBe, namesOf } from './types.ts'

/** What a customer's file is, where it is of a wanted kind. `message` may be shown to the customer. */
export type InputCheck =
  | { ok: true; kind: 'image'; contentType: MediaType; width: number; height: number }
  | {
      ok: true
      kind: 'video'
      contentType: MediaType
      width: number
      height: number
      durationSeconds: number
      hasSound: boolean
    }
  | { ok: true; kind: 'audio'; contentType: MediaType; durationSeconds: number }
  | { ok: false; message: string }

const nouns: Record<InputKind, string> = { image: 'picture', video: 'video', audio: 'sound file' }

/** Whether a customer's file is of one of these kinds and can be used whole. Decodes on the calling thread. */
export async function checkInputHere(
  path: string,
  kinds: InputKind[],
  maxPixels: number,
): Promise<InputCheck> {
  const contentType = await sniffFile(path)
  const kind = contentType && kindAmong(kinds, contentType)
  if (contentType === undefined || kind === undefined) {
    const wanted = kinds.map((name) => `a ${nouns[name]} (${namesOf(name)})`)
    return { ok: false, message: `The file is not ${wanted.join(', nor ')}.` }
  }
  if ((await stat(path)).size > maxInputBytes[kind]) {
    return { ok: false, message: `The file is larger than ${maxInputBytes[kind]} bytes.` }
  }
  if (kind === 'image') return checkImage(path, maxPixels)
  try {
    using input = openMedia(path)
    for (const track of await input.getTracks()) {
      if (!(await endsInFile(track))) return { ok: false, message: 'The file is cut off.' }
    }
    return kind === 'video'
      ? await checkVideo(input, contentType, Math.min(maxPixels, maxFramePixels))
      : await checkAudio(input, contentType)
  } catch (error) {
    return { ok: false, message: await reasonFor(path, kind, error) }
  }
}

/** A sound can be in a file that begins as films do. */
function kindAmong(kinds: InputKind[], contentType: MediaType): InputKind | undefined {
  if (kinds.includes(kindOf(contentType))) return kindOf(contentType)
  return kinds.includes('audio') && mayBe('audio/mp4', contentType) ? 'audio' : undefined
}

async function checkImage(path: string, maxPixels: number): Promise<InputCheck> {
  const found = await decodePicture(await readFile(path), maxPixels)
  if (!found.ok) return found
  const { contentType, width, height } = found
  return { ok: true, kind: 'image', contentType, width, height }
}

async function checkVideo(input: Input, contentType: MediaType, maxPixels: number): Promise<InputCheck> {
  const track = await input.getPrimaryVideoTrack()
  if (track === null) return { ok: false, message: 'The file has no picture.' }
  const claimed = { width: await track.getDisplayWidth(), height: await track.getDisplayHeight() }
  if (claimed.width * claimed.height > maxPixels) {
    return { ok: false, message: tooLarge('video', claimed, maxPixels) }
  }
  for await (const { width, height } of picturesAt(track, [await startOf(track)], maxPixels)) {
    const durationSeconds = await durationOf(track)
    const hasSound = (await input.getPrimaryAudioTrack()) !== null
    return { ok: true, kind: 'video', contentType, width, height, durationSeconds, hasSound }
  }
  return { ok: false, message: 'The video holds no picture that can be decoded.' }
}

async function checkAudio(input: Input, contentType: MediaType): Promise<InputCheck> {
  if ((await input.getPrimaryVideoTrack()) !== null) {
    return { ok: false, message: `The file is a film, not a sound file (${namesOf('audio')}).` }
  }
  const track = await input.getPrimaryAudioTrack()
  if (track === null) return { ok: false, message: 'The file has no sound.' }
  await expectAudioCodec(track)
  // not by its time: the first packets of some codecs only lead in
  for await (using _first of new AudioSampleSink(track).samples()) {
    const type = kindOf(contentType) === 'audio' ? contentType : 'audio/mp4'
    return { ok: true, kind: 'audio', contentType: type, durationSeconds: await durationOf(track) }
  }
  return { ok: false, message: 'The sound cannot be decoded.' }
}
