import { createRequire } from 'node:module'
import { type ColourTags, toStandardColours } from '../hdr.ts'
import { tooLarge } from '../image.ts'
import { cutOff } from './file.ts'
import { foreignColours } from './nclx.ts'
import { type Colour, writePng } from './write-png.ts'

/** What is used of libheif's C interface. Structures are in the module's memory, and named by their addresses there. */
interface Libheif {
  HEAPU8: Uint8Array
  HEAPU32: Uint32Array
  ready: Promise<unknown>
  _malloc(bytes: number): number
  _heif_context_alloc(): number
  _heif_context_set_max_decoding_threads(context: number, threads: number): void
  _heif_context_read_from_memory(error: number, context: number, at: number, bytes: number, none: 0): void
  _heif_context_get_primary_image_handle(error: number, context: number, handle: number): void
  _heif_context_get_track(context: number, id: number): number
  _heif_track_get_image_resolution(error: number, track: number, width: number, height: number): void
  _heif_track_decode_next_image(
    error: number,
    track: number,
    image: number,
    space: number,
    chroma: number,
    none: 0,
  ): void
  _heif_image_handle_get_width(handle: number): number
  _heif_image_handle_get_height(handle: number): number
  _heif_image_handle_get_raw_color_profile_size(handle: number): number
  _heif_image_handle_get_raw_color_profile(error: number, handle: number, at: number): void
  _heif_decode_image(
    error: number,
    handle: number,
    image: number,
    space: number,
    chroma: number,
    none: 0,
  ): void
  _heif_image_get_width(image: number, channel: number): number
  _heif_image_get_height(image: number, channel: number): number
  _heif_image_get_plane_readonly2(image: number, channel: number, stride: number): number
}

const open = createRequire(import.meta.url)('libheif-js/libheif-wasm/libheif-bundle.js') as () => Libheif

const rgb = 1
const interleavedRgba = 11
const interleaved = 10

/** A picture as a PNG, upright; `message` may be shown to the customer. */
export type PlainPicture =
  | { ok: true; png: Buffer; width: number; height: number }
  | { ok: false; message: string }

const undecodable: PlainPicture = { ok: false, message: cutOff }

/**
 * Decodes the primary picture of a HEIC or HEIF file, or the first one of a sequence, in 8 bits, with its grid joined and its
 * turns, mirrors and cuts done. Each picture gets a module of its own: the memory of one never becomes less.
 */
export async function decodeHeif(bytes: Buffer, maxPixels: number): Promise<PlainPicture> {
  const heif = open()
  await heif.ready
  const at = heif._malloc(bytes.length)
  // an error's code, and what is answered by address
  const [error, answer, second] = [heif._malloc(12), heif._malloc(8), heif._malloc(8)]
  if (at === 0) return undecodable
  heif.HEAPU8.set(bytes, at)
  const succeeds = (call: () => void) => {
    call()
    return heif.HEAPU32[error >> 2] === 0
  }
  const read = (address: number) => heif.HEAPU32[address >> 2]!
  const context = heif._heif_context_alloc()
  heif._heif_context_set_max_decoding_threads(context, 0)
  if (!succeeds(() => heif._heif_context_read_from_memory(error, context, at, bytes.length, 0)))
    return undecodable

  const hasPrimary = succeeds(() => heif._heif_context_get_primary_image_handle(error, context, answer))
  const handle = hasPrimary ? read(answer) : 0
  const track = hasPrimary ? 0 : heif._heif_context_get_track(context, 0)
  if (handle === 0 && track === 0) return undecodable
  if (track !== 0) {
    heif.HEAPU32.set([0, 0], answer >> 2)
    if (!succeeds(() => heif._heif_track_get_image_resolution(error, track, answer, answer + 2)))
      return undecodable
  }
  const [width, height] =
    handle !== 0
      ? [heif._heif_image_handle_get_width(handle), heif._heif_image_handle_get_height(handle)]
      : [read(answer) & 0xffff, read(answer) >> 16]
  if (width * height > maxPixels)
    return { ok: false, message: tooLarge('picture', { width, height }, maxPixels) }
  const decoded = succeeds(() =>
    handle !== 0
      ? heif._heif_decode_image(error, handle, second, rgb, interleavedRgba, 0)
      : heif._heif_track_decode_next_image(error, track, second, rgb, interleavedRgba, 0),
  )
  const image = read(second)
  if (!decoded || image === 0) return undecodable
  const profile = handle === 0 ? undefined : profileOf(heif, handle, error)
  return toPng(heif, image, { answer, colour: profile ?? foreignColours(bytes) })
}

function profileOf(heif: Libheif, handle: number, error: number): Colour | undefined {
  const size = heif._heif_image_handle_get_raw_color_profile_size(handle)
  if (size === 0) return undefined
  const at = heif._malloc(size)
  heif._heif_image_handle_get_raw_color_profile(error, handle, at)
  return heif.HEAPU32[error >> 2] === 0 ? { icc: heif.HEAPU8.slice(at, at + size) } : undefined
}

/** The rows may have some bytes between them. */
function toPng(
  heif: Libheif,
  image: number,
  { answer, colour }: { answer: number; colour: Colour | ColourTags | undefined },
): PlainPicture {
  const width = heif._heif_image_get_width(image, interleaved)
  const height = heif._heif_image_get_height(image, interleaved)
  const plane = heif._heif_image_get_plane_readonly2(image, interleaved, answer)
  const stride = heif.HEAPU32[answer >> 2]!
  if (plane === 0 || width < 1 || height < 1) return undecodable
  const rows = { at: heif.HEAPU8.subarray(plane, plane + stride * height), stride }
  if (colour === undefined || 'icc' in colour) {
    return { ok: true, png: writePng(rows, { width, height, colour }), width, height }
  }
  for (let at = 0; at < rows.at.length; at += stride) {
    toStandardColours(rows.at.subarray(at, at + width * 4), colour)
  }
  return { ok: true, png: writePng(rows, { width, height }), width, height }
}
