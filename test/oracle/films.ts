import '@napi-rs/webcodecs/polyfill'
import {
  BufferTarget,
  EncodedPacket,
  EncodedVideoPacketSource,
  Mp4OutputFormat,
  Output,
  type Rotation,
  type VideoCodec,
  WebMOutputFormat,
} from 'mediabunny'
import {
  type Colour,
  height,
  type PictureCase,
  type Quarters,
  quarterOf,
  quarters,
  shown,
  width,
} from './scene.ts'

export type FilmCase = PictureCase & { extension: 'mp4' | 'webm' }

const frames = 3
const weights = {
  bt709: [0.2126, 0.0722],
  smpte170m: [0.299, 0.114],
  bt470bg: [0.299, 0.114],
  'bt2020-ncl': [0.2627, 0.0593],
} as const

type Matrix = keyof typeof weights

interface Film {
  codec: VideoCodec
  /** By which the pictures are made, and whether anything says so. */
  matrix?: Matrix
  fullRange?: boolean
  isTagged?: boolean
  rotation?: Rotation
  flip?: boolean
  /** Of each quarter, in a second picture. */
  alphas?: readonly number[]
  size?: { width: number; height: number }
  format?: ConstructorParameters<typeof Mp4OutputFormat>[0]
}

const codecStrings: Partial<Record<VideoCodec, string>> = {
  avc: 'avc1.64001f',
  hevc: 'hvc1.1.6.L93.B0',
  vp8: 'vp8',
  vp9: 'vp09.00.31.08',
  av1: 'av01.0.05M.08',
}
/** Two steps of 8 bits in limited range, and the codec's own loss. */
const tolerance = 8

/**
 * All films, each with what must be seen of its first picture. The encoders of HEVC, VP9 and AV1 call every stream limited:
 * of theirs only the container says full range.
 */
export async function filmCases(): Promise<FilmCase[]> {
  return [
    ...(await tagged()),
    ...(await untagged()),
    ...(await turned()),
    ...(await veiled()),
    ...(await packed()),
    ...(await odd()),
  ]
}

async function tagged(): Promise<FilmCase[]> {
  const codecs: VideoCodec[] = ['avc', 'hevc', 'vp9', 'av1']
  const films = codecs.flatMap((codec) =>
    (Object.keys(weights) as Matrix[]).flatMap((matrix) =>
      [false, true].map((fullRange) => ({ codec, matrix, fullRange, isTagged: true })),
    ),
  )
  return Promise.all(
    films.map((film) =>
      filmCase(`${film.codec} ${film.matrix} ${film.fullRange ? 'full' : 'limited'} range`, film),
    ),
  )
}

async function untagged(): Promise<FilmCase[]> {
  const high = { width: 1280, height: 720 }
  return [
    await filmCase('avc untagged, small', { codec: 'avc', matrix: 'smpte170m' }),
    await filmCase('avc untagged, high', { codec: 'avc', matrix: 'bt709', size: high }),
    await filmCase('vp8, small', { codec: 'vp8', matrix: 'smpte170m' }),
    await filmCase('hevc untagged, small', { codec: 'hevc', matrix: 'smpte170m' }),
  ]
}

/** By rotation clockwise, and then mirrored or not, as EXIF counts. */
const orientations: Record<Rotation, readonly [number, number]> = {
  0: [1, 2],
  90: [6, 5],
  180: [3, 4],
  270: [8, 7],
}

async function turned(): Promise<FilmCase[]> {
  const cases = ([0, 90, 180, 270] as const).flatMap((rotation) =>
    [false, true].map((flip) => ({ rotation, flip })),
  )
  return Promise.all(
    cases.map(async ({ rotation, flip }) => ({
      ...(await filmCase(`avc turned by ${rotation}${flip ? ' and mirrored' : ''}`, {
        codec: 'avc',
        rotation,
        flip,
      })),
      ...shown(orientations[rotation][flip ? 1 : 0]),
    })),
  )
}

async function veiled(): Promise<FilmCase[]> {
  const alphas = [255, 128, 64, 0]
  const seen = quarters.map(([red, green, blue], index) => {
    const share = alphas[index]! / 255
    return [red * share, green * share, blue * share, 255] as Colour
  }) as unknown as Quarters
  return Promise.all(
    (['vp8', 'vp9'] as const).map(async (codec) => ({
      ...(await filmCase(`${codec} with opacity`, { codec, alphas, matrix: 'smpte170m' })),
      quarters: seen,
    })),
  )
}

async function packed(): Promise<FilmCase[]> {
  return [
    await filmCase('hevc tagged', { codec: 'hevc', matrix: 'bt709', isTagged: true }),
    await filmCase('avc with its index in front', { codec: 'avc', format: { fastStart: 'in-memory' } }),
    await filmCase('avc with its index behind', { codec: 'avc', format: { fastStart: false } }),
    await filmCase('avc in fragments', { codec: 'avc', format: { fastStart: 'fragmented' } }),
    await filmCase('av1 in fragments', { codec: 'av1', isTagged: true, format: { fastStart: 'fragmented' } }),
  ]
}

/** What other programs write, by changing bytes of a usual film. */
async function odd(): Promise<FilmCase[]> {
  const change = async (name: string, film: Film, edit: (bytes: Buffer) => Buffer) => {
    const usual = await filmCase(name, { ...film, isTagged: true, matrix: 'bt709' })
    return { ...usual, bytes: edit(usual.bytes) }
  }
  const rename = (from: string, to: string) => (bytes: Buffer) => {
    bytes.write(to, bytes.indexOf(from, bytes.indexOf('stsd')), 'latin1')
    return bytes
  }
  return [
    await change('avc as 42801e', { codec: 'avc' }, (bytes) => {
      bytes.set([0x42, 0x80, 0x1e], bytes.indexOf('avcC') + 5)
      return bytes
    }),
    await change('avc of an unknown level', { codec: 'avc' }, (bytes) => {
      bytes[bytes.indexOf('avcC') + 7] = 0x3f
      return bytes
    }),
    await change('avc named avc3', { codec: 'avc' }, rename('avc1', 'avc3')),
    await change('hevc named hev1', { codec: 'hevc' }, rename('hvc1', 'hev1')),
    await change('av1 of level 31', { codec: 'av1' }, (bytes) => {
      const at = bytes.indexOf('av1C') + 5
      bytes[at] = bytes[at]! | 31
      return bytes
    }),
    await change('avc with a short colour box', { codec: 'avc' }, shortenColour),
    await change('avc without a size', { codec: 'avc' }, (bytes) => {
      bytes.writeUInt32BE(0, bytes.indexOf('avc1', bytes.indexOf('stsd')) + 28)
      return bytes
    }),
    await change('avc with bytes behind its parameters', { codec: 'avc' }, (bytes) =>
      growBox(bytes, 'avcC', 5),
    ),
  ]
}

const around = ['moov', 'trak', 'mdia', 'minf', 'stbl', 'stsd', 'avc1']

/** With more bytes, or fewer, at the end of a box within the description of the pictures. */
function growBox(bytes: Buffer, name: string, by: number): Buffer {
  const at = bytes.indexOf(name, bytes.indexOf('stsd')) - 4
  const end = at + bytes.readUInt32BE(at)
  for (const outer of [...around, name]) {
    const start =
      outer === 'moov' || outer === 'trak' ? bytes.indexOf(outer) : bytes.lastIndexOf(outer, at + 4)
    bytes.writeUInt32BE(bytes.readUInt32BE(start - 4) + by, start - 4)
  }
  return by < 0
    ? Buffer.concat([bytes.subarray(0, end + by), bytes.subarray(end)])
    : Buffer.concat([bytes.subarray(0, end), Buffer.alloc(by), bytes.subarray(end)])
}

function shortenColour(bytes: Buffer): Buffer {
  return growBox(bytes, 'colr', -1)
}

/** A film of three pictures that all show the quarters. */
export async function filmCase(name: string, film: Film): Promise<FilmCase> {
  const isWebm = film.codec === 'vp8' || film.codec === 'vp9'
  const size = film.size ?? { width, height }
  return {
    name: `film ${name}`,
    extension: isWebm ? 'webm' : 'mp4',
    bytes: await makeFilm(film, isWebm),
    ...shown(1),
    ...size,
    tolerance,
  }
}

async function makeFilm(film: Film, isWebm: boolean): Promise<Buffer> {
  const { codec, rotation = 0, flip = false, alphas } = film
  const target = new BufferTarget()
  // the index behind, so that an edit of it moves no picture
  const format = isWebm ? new WebMOutputFormat() : new Mp4OutputFormat(film.format ?? { fastStart: false })
  const output = new Output({ format, target })
  const source = new EncodedVideoPacketSource(codec)
  output.addVideoTrack(source, { rotation, flip })
  await output.start()
  const { packets, config } = await encode(film, planesOf(film))
  const veil = alphas && (await encode(film, greyPlanes(film, alphas))).packets
  for (const [index, packet] of packets.entries()) {
    const sideData = veil === undefined ? {} : { alpha: veil[index]!.data }
    const timed = new EncodedPacket(packet.data, packet.type, index / 10, 0.1, index, undefined, sideData)
    await source.add(timed, { decoderConfig: config })
  }
  await output.finalize()
  return Buffer.from(target.buffer!)
}

function planesOf({ matrix = 'bt709', fullRange = false, size = { width, height } }: Film): Uint8Array {
  const [red, blue] = weights[matrix]
  const [black, gain, chroma] = fullRange ? [0, 255, 255] : [16, 219, 224]
  return fillPlanes(
    size,
    quarters.map(([r, g, b]) => {
      const luma = (red * r + (1 - red - blue) * g + blue * b) / 255
      return [
        black + gain * luma,
        128 + (chroma * (b / 255 - luma)) / (2 * (1 - blue)),
        128 + (chroma * (r / 255 - luma)) / (2 * (1 - red)),
      ]
    }),
  )
}

function greyPlanes({ size = { width, height } }: Film, levels: readonly number[]): Uint8Array {
  return fillPlanes(
    size,
    levels.map((level) => [level, 128, 128]),
  )
}

/** 4:2:0, of one colour in each quarter. */
function fillPlanes(
  size: { width: number; height: number },
  colours: readonly (readonly number[])[],
): Uint8Array {
  const planes = new Uint8Array((size.width * size.height * 3) / 2)
  let at = 0
  for (const [plane, shrink] of [1, 2, 2].entries()) {
    const [across, down] = [size.width / shrink, size.height / shrink]
    for (let y = 0; y < down; y += 1) {
      for (let x = 0; x < across; x += 1, at += 1) {
        planes[at] = Math.round(colours[quarterOf(x, y, across, down)]![plane]!)
      }
    }
  }
  return planes
}

async function encode(film: Film, planes: Uint8Array) {
  const {
    codec,
    matrix = 'bt709',
    fullRange = false,
    size = { width, height },
    isTagged = codec === 'avc' && film.matrix === undefined,
  } = film
  const standard = matrix === 'bt2020-ncl' ? 'bt2020' : matrix
  const colorSpace = {
    primaries: standard,
    transfer: matrix === 'bt470bg' ? 'smpte170m' : standard,
    matrix,
    fullRange,
  } as VideoColorSpaceInit
  if (matrix === 'bt2020-ncl') colorSpace.transfer = 'bt709'
  const found: { data: Uint8Array; type: EncodedVideoChunkType }[] = []
  let config: VideoDecoderConfig | undefined
  const encoder = new VideoEncoder({
    output(chunk, metadata) {
      const data = new Uint8Array(chunk.byteLength)
      chunk.copyTo(data)
      found.push({ data, type: chunk.type })
      config ??= metadata?.decoderConfig
    },
    error(error) {
      throw error
    },
  })
  encoder.configure({
    codec: codecStrings[codec]!,
    ...size,
    bitrate: 4_000_000,
    framerate: 10,
    hardwareAcceleration: 'prefer-software',
    latencyMode: 'realtime',
  })
  for (let index = 0; index < frames; index += 1) {
    const frame = new VideoFrame(planes, {
      format: 'I420',
      codedWidth: size.width,
      codedHeight: size.height,
      timestamp: index * 100_000,
      duration: 100_000,
      ...(isTagged && { colorSpace }),
    })
    encoder.encode(frame, { keyFrame: index === 0 })
    frame.close()
  }
  const alive = setInterval(() => {}, 1000)
  await encoder.flush()
  clearInterval(alive)
  encoder.close()
  const { colorSpace: _said, ...rest } = config!
  return {
    packets: found,
    config: { ...rest, codedWidth: size.width, codedHeight: size.height, ...(isTagged && { colorSpace }) },
  }
}
