import './vorbis.ts'
import { copyFile, open, stat } from 'node:fs/promises'
import {
  AdtsOutputFormat,
  type AudioCodec,
  Conversion,
  FlacOutputFormat,
  type InputTrack,
  Mp3OutputFormat,
  Mp4OutputFormat,
  OggOutputFormat,
  Output,
  type OutputFormat,
  type VideoCodec,
  WavOutputFormat,
  WebMOutputFormat,
} from 'mediabunny'
import { fileTarget, writeWhole } from '../file-target.ts'
import type { Cleaned } from './clean-picture.ts'
import { filmColour, isHdr } from './colour.ts'
import { Undecodable } from './films/decoder.ts'
import { encodingOf } from './films/encode.ts'
import type { FilmSize } from './films/limits.ts'
import { framesOf, startOf } from './films/play.ts'
import { scrubIndex, type Zeros } from './films/scrub.ts'
import { openMedia } from './frames.ts'
import { isHdrTransfer } from './hdr.ts'
import { maxInputBytes } from './image.ts'
import { kindOf, type MediaType, mayBe } from './types.ts'

/** The size is told of a film that was encoded anew. */
type CleanedFilm = Cleaned<Partial<FilmSize>>

interface Cleaning {
  types: readonly string[]
  /** How much may be encoded anew. */
  mostMegapixels?: number | undefined
  /** False: what would have to be encoded anew is only told to be so. */
  mayEncode?: boolean | undefined
}

class TakesLong extends Error {}

/** How a file of a type is written, and which codecs may be in it as they are; others are made into the first. */
interface Writing {
  format: () => OutputFormat
  video?: VideoCodec[]
  audio: AudioCodec[]
}

const writings: Partial<Record<MediaType, Writing>> = {
  'video/mp4': { format: () => new Mp4OutputFormat(), video: ['avc', 'hevc'], audio: ['aac', 'mp3'] },
  'video/webm': {
    format: () => new WebMOutputFormat(),
    video: ['vp9', 'vp8', 'av1'],
    audio: ['opus', 'vorbis'],
  },
  'audio/mp4': { format: () => new Mp4OutputFormat(), audio: ['aac'] },
  'audio/mpeg': { format: () => new Mp3OutputFormat({ xingHeader: false }), audio: ['mp3'] },
  'audio/wav': { format: () => new WavOutputFormat(), audio: ['pcm-s16', 'pcm-s24', 'pcm-f32', 'pcm-u8'] },
  'audio/aac': { format: () => new AdtsOutputFormat(), audio: ['aac'] },
  'audio/ogg': { format: () => new OggOutputFormat(), audio: ['opus', 'vorbis'] },
  'audio/flac': { format: () => new FlacOutputFormat(), audio: ['flac'] },
}
const broken = 'It could not be made into a type that the provider takes.'
const mostBoxes = 100_000
const mostIndexBytes = 64 * 1024 * 1024

/**
 * Writes to `target` what an upstream may have of a film or sound: without tags, places, devices and further tracks. Where the
 * type may stay, the pictures and sounds do, too; else they are copied into the other container, and only what can't be in
 * that, or is in HDR, is encoded anew.
 */
export async function cleanFilmHere(
  path: string,
  { target, types, found, ...limits }: Cleaning & { target: string; found: MediaType },
): Promise<CleanedFilm> {
  const isIso = mayBe('video/mp4', found)
  const stays = types.includes(found) ? found : undefined
  // M4V is MP4 by another name
  const contentType =
    stays ?? (found === 'video/x-m4v' && types.includes('video/mp4') ? 'video/mp4' : undefined)
  try {
    const hasHdr = kindOf(found) === 'video' && (await isHdrFilm(path))
    if (isIso && contentType !== undefined && !hasHdr) return await scrub(path, target, contentType)
    return await makeAnew(path, target, { types, stays, hasHdr, ...limits })
  } catch (error) {
    if (error instanceof TakesLong) return { ok: false, message: broken, takesLong: true }
    // a full disk is no fault of the file
    if (error instanceof Error && 'syscall' in error) throw error
    return { ok: false, message: error instanceof Undecodable ? error.message : broken }
  }
}

async function makeAnew(
  path: string,
  target: string,
  { types, stays, ...how }: Cleaning & { stays: MediaType | undefined; hasHdr: boolean },
): Promise<CleanedFilm> {
  const wanted = stays && writings[stays] ? stays : await bestOf(path, types)
  const writing = wanted && writings[wanted as MediaType]
  if (!wanted || !writing) return { ok: false, message: `The provider takes ${types.join(' and ')} alone.` }
  const { changes, size } = await rewrite(path, target, { ...writing, ...how })
  if ((await stat(target)).size > maxInputBytes[kindOf(wanted as MediaType)]) {
    return {
      ok: false,
      message: `As ${wanted}, which the provider takes, it would be too large: give a shorter one.`,
    }
  }
  return { ok: true, contentType: wanted as MediaType, changes, ...size }
}

/** By its first frame, as the container need not say so. */
async function isHdrFilm(path: string): Promise<boolean> {
  using input = openMedia(path)
  const track = await input.getPrimaryVideoTrack()
  if (track === null) return false
  const colour = await filmColour(track)
  if (colour.transfer !== undefined && !isHdrTransfer(colour.transfer)) return false
  for await (const frame of framesOf(track, [await startOf(track)])) return isHdr(frame, colour)
  return false
}

/** The first type that needs no new encoding of the sound, else the first. */
async function bestOf(path: string, types: readonly string[]): Promise<string | undefined> {
  using input = openMedia(path)
  const codec = await (await input.getPrimaryAudioTrack())?.getCodec()
  const writable = types.filter((type) => writings[type as MediaType] !== undefined)
  return writable.find((type) => codec && writings[type as MediaType]!.audio.includes(codec)) ?? writable[0]
}

async function rewrite(
  path: string,
  target: string,
  {
    format,
    video,
    audio,
    hasHdr,
    mostMegapixels,
    mayEncode = true,
  }: Writing & Omit<Cleaning, 'types'> & { hasHdr: boolean },
): Promise<{ changes: string[]; size?: FilmSize }> {
  // the native codecs do not keep a thread alive that waits for nothing else
  const alive = setInterval(() => {}, 60_000)
  try {
    using input = openMedia(path)
    const picture = video ? await input.getPrimaryVideoTrack() : null
    const sound = await input.getPrimaryAudioTrack()
    const pictureCodec = await picture?.getCodec()
    const soundCodec = await sound?.getCodec()
    const stays = picture === null || (!hasHdr && !!pictureCodec && video!.includes(pictureCodec))
    const soundStays = sound === null || (!!soundCodec && audio.includes(soundCodec))
    if (!mayEncode && !(stays && soundStays)) throw new TakesLong()
    const start = await startOfBoth(picture, sound)
    const encoding = stays
      ? undefined
      : await encodingOf(picture, { codec: video![0]!, start, mostMegapixels })
    // opens the file: only now, as what was refused before would leave it open
    const output = new Output({ format: format(), target: fileTarget(target) })
    if (encoding !== undefined) output.addVideoTrack(encoding.source)
    const conversion = await Conversion.init({
      input,
      output,
      composable: true,
      trim: { start },
      video: (track) => (track === picture && stays ? { codec: pictureCodec! } : { discard: true }),
      audio: (track) =>
        track === sound
          ? { codec: soundStays ? soundCodec! : audio[0]!, bitrate: 192_000 }
          : { discard: true },
      showWarnings: false,
    })
    const isCopied = (picture !== null && stays) || sound !== null
    if (isCopied && !conversion.isValid) throw new Error('no track of the file can be written')
    await output.start()
    try {
      await Promise.all([encoding?.run(), isCopied ? conversion.execute() : undefined])
      await output.finalize()
    } catch (error) {
      if (output.state !== 'finalized') await output.cancel().catch(() => {})
      throw error
    }
    return {
      changes: changesOf({ stays, soundStays, hasHdr }),
      ...(encoding && { size: encoding.size }),
    }
  } finally {
    clearInterval(alive)
  }
}

/** Where the film begins to be shown and heard: what comes later of the two keeps its distance. */
async function startOfBoth(...tracks: (InputTrack | null)[]): Promise<number> {
  const starts = tracks.map(async (track) => (track ? track.getFirstTimestamp() : Number.POSITIVE_INFINITY))
  return Math.max(0, Math.min(...(await Promise.all(starts))))
}

function changesOf({
  stays,
  soundStays,
  hasHdr,
}: Record<'stays' | 'soundStays' | 'hasHdr', boolean>): string[] {
  if (stays && soundStays) return ['copied without metadata']
  const encoded = [...(stays ? [] : ['the picture']), ...(soundStays ? [] : ['the sound'])]
  return [`${encoded.join(' and ')} encoded anew`, ...(hasHdr ? ['HDR made SDR'] : [])]
}

/** A copy in which only metadata were overwritten. */
async function scrub(path: string, target: string, contentType: MediaType): Promise<CleanedFilm> {
  await copyFile(path, target)
  await using file = await open(target, 'r+')
  const { size } = await file.stat()
  let hasChanged = false
  const zeros: Zeros[] = []
  const header = Buffer.alloc(16)
  for (let at = 0, boxes = 0; at + 8 <= size && boxes < mostBoxes; boxes += 1) {
    await file.read(header, 0, 16, at)
    const short = header.readUInt32BE(0)
    const length = short === 1 ? Number(header.readBigUInt64BE(8)) : short === 0 ? size - at : short
    if (length < 8) break
    const type = header.toString('latin1', 4, 8)
    if (['moov', 'moof', 'meta', 'uuid', 'emsg', 'udta'].includes(type)) {
      const bytes = Buffer.alloc(Math.min(length, size - at))
      if (bytes.length > mostIndexBytes) return { ok: false, message: 'The index of the film is too large.' }
      await file.read(bytes, 0, bytes.length, at)
      const before = Buffer.from(bytes)
      zeros.push(...scrubIndex(bytes))
      hasChanged ||= !before.equals(bytes)
      await writeWhole(file, bytes, at)
    } else if (type === 'ftyp' && contentType === 'video/mp4' && header.toString('latin1', 8, 11) === 'M4V') {
      await writeWhole(file, Buffer.from('mp42'), at + 8)
    } else if (type === 'free' || type === 'skip') {
      await overwrite(file, { at: at + 8, bytes: Math.min(length, size - at) - 8 })
    }
    at += length
  }
  for (const part of zeros) {
    if (part.at >= 0 && part.at + part.bytes <= size) await overwrite(file, part)
  }
  return { ok: true, contentType, changes: hasChanged ? ['metadata removed'] : [] }
}

async function overwrite(file: Awaited<ReturnType<typeof open>>, { at, bytes }: Zeros): Promise<void> {
  const block = Buffer.alloc(Math.min(bytes, 1_048_576))
  for (let done = 0; done < bytes; done += block.length) {
    await writeWhole(file, block.subarray(0, bytes - done), at + done)
  }
}
