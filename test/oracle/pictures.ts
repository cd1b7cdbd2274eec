import { deflateSync } from 'node:zlib'
import { createCanvas } from '@napi-rs/canvas'
import { adobe, type JpegForm, jfif, makeJpeg, segment } from './jpeg.ts'
import { extendedWebp, type GifFrame, makeGif, riffChunk, swappedProfile } from './other-formats.ts'
import { makePng, type PngForm, palette, pngChunk } from './png.ts'
import {
  type Colour,
  exif,
  height,
  orientations,
  type PictureCase,
  type Quarters,
  quarters,
  shown,
  width,
  xmp,
} from './scene.ts'

const exact = 1
/** For what goes through YCbCr in 8 bits. */
const rounded = 3
const lossy = 6

/** All pictures, each with what must be seen. They are the same at every run. */
export async function pictureCases(): Promise<PictureCase[]> {
  return [
    ...pngForms(),
    ...pngOrientations(),
    ...jpegModels(),
    ...jpegSamplings(),
    ...jpegOrientations(),
    ...(await webps()),
    ...gifs(),
    ...(await profiles()),
  ]
}

function pngForms(): PictureCase[] {
  return [false, true].flatMap((isInterlaced) =>
    pngSamples().map(({ name, samples, seen, ...form }) => ({
      name: `PNG ${name}${isInterlaced ? ', interlaced' : ''}`,
      bytes: makePng({ ...form, isInterlaced }, samples),
      ...shown(1, seen),
      tolerance: exact,
    })),
  )
}

type PngSamples = PngForm & { name: string; samples: readonly (readonly number[])[]; seen: Quarters }

function pngSamples(): PngSamples[] {
  const greys = (levels: readonly number[], most: number, alphas = [255, 255, 255, 255]) =>
    levels.map((level, index) => {
      const value = Math.round((level * 255) / most)
      return [value, value, value, alphas[index]!] as Colour
    }) as unknown as Quarters
  const veiled = quarters.map(
    ([red, green, blue], index) => [red, green, blue, [255, 128, 64, 0][index]!] as Colour,
  )
  const seenVeiled = veiled.map((colour) => (colour[3] === 0 ? ([0, 0, 0, 0] as Colour) : colour))
  const plain = quarters.map((colour) => colour.slice(0, 3))
  const deep = (values: readonly (readonly number[])[]) =>
    values.map((pixel) => pixel.map((value) => value * 257))
  const clearSecond = quarters.map((colour, index) => (index === 1 ? ([0, 0, 0, 0] as Colour) : colour))
  const clear = (chunk: readonly number[]) => [
    pngChunk('tRNS', Buffer.from(chunk.flatMap((value) => [value >> 8, value & 255]))),
  ]
  const palettes = ([2, 4, 8] as const).flatMap((bits): PngSamples[] => [
    {
      name: `palette of ${bits} bits`,
      colourType: 3,
      bits,
      samples: [[0], [1], [2], [3]],
      seen: quarters,
      before: palette(quarters),
    },
    {
      name: `palette of ${bits} bits with opacity`,
      colourType: 3,
      bits,
      samples: [[0], [1], [2], [3]],
      seen: seenVeiled as unknown as Quarters,
      before: palette(veiled),
    },
  ])
  return [
    { name: 'RGB of 8 bits', colourType: 2, bits: 8, samples: plain, seen: quarters },
    { name: 'RGB of 16 bits', colourType: 2, bits: 16, samples: deep(plain), seen: quarters },
    {
      name: 'RGBA of 8 bits',
      colourType: 6,
      bits: 8,
      samples: veiled,
      seen: seenVeiled as unknown as Quarters,
    },
    {
      name: 'RGBA of 16 bits',
      colourType: 6,
      bits: 16,
      samples: deep(veiled),
      seen: seenVeiled as unknown as Quarters,
    },
    {
      name: 'RGB with a clear colour',
      colourType: 2,
      bits: 8,
      samples: plain,
      seen: clearSecond as unknown as Quarters,
      before: clear(plain[1]!),
    },
    {
      name: 'grey of 1 bit',
      colourType: 0,
      bits: 1,
      samples: [[0], [1], [1], [0]],
      seen: greys([0, 1, 1, 0], 1),
    },
    {
      name: 'grey of 2 bits',
      colourType: 0,
      bits: 2,
      samples: [[0], [1], [2], [3]],
      seen: greys([0, 1, 2, 3], 3),
    },
    {
      name: 'grey of 4 bits',
      colourType: 0,
      bits: 4,
      samples: [[0], [5], [10], [15]],
      seen: greys([0, 5, 10, 15], 15),
    },
    {
      name: 'grey of 8 bits',
      colourType: 0,
      bits: 8,
      samples: [[0], [77], [150], [255]],
      seen: greys([0, 77, 150, 255], 255),
    },
    {
      name: 'grey of 16 bits',
      colourType: 0,
      bits: 16,
      samples: deep([[0], [77], [150], [255]]),
      seen: greys([0, 77, 150, 255], 255),
    },
    {
      name: 'grey with opacity, 8 bits',
      colourType: 4,
      bits: 8,
      samples: [
        [60, 255],
        [120, 128],
        [200, 255],
        [255, 64],
      ],
      seen: greys([60, 120, 200, 255], 255, [255, 128, 255, 64]),
    },
    {
      name: 'grey with opacity, 16 bits',
      colourType: 4,
      bits: 16,
      samples: deep([
        [60, 255],
        [120, 128],
        [200, 255],
        [255, 64],
      ]),
      seen: greys([60, 120, 200, 255], 255, [255, 128, 255, 64]),
    },
    {
      name: 'palette of 1 bit',
      colourType: 3,
      bits: 1,
      samples: [[0], [1], [1], [0]],
      seen: [quarters[0], quarters[1], quarters[1], quarters[0]],
      before: palette(quarters.slice(0, 2)),
    },
    ...palettes,
  ]
}

function pngOrientations(): PictureCase[] {
  const text = (type: string, key: string, ...rest: (string | Buffer)[]) =>
    pngChunk(
      type,
      Buffer.concat([
        Buffer.from(`${key}\0`, 'latin1'),
        ...rest.map((part) => Buffer.from(part as string, 'latin1')),
      ]),
    )
  const profile = (orientation: number) => {
    const data = Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), exif(orientation)])
    return `\nexif\n      ${data.length}\n${data.toString('hex').replaceAll(/(.{72})/g, '$1\n')}\n`
  }
  const sources: Record<string, (orientation: number) => Partial<PngForm>> = {
    'EXIF, little-endian': (orientation) => ({ before: [pngChunk('eXIf', exif(orientation))] }),
    'EXIF behind the data, big-endian': (orientation) => ({
      behind: [pngChunk('eXIf', exif(orientation, { isLittle: false }))],
    }),
    XMP: (orientation) => ({ before: [text('iTXt', 'XML:com.adobe.xmp', '\0\0\0\0', xmp(orientation))] }),
    'compressed XMP': (orientation) => ({
      before: [
        text(
          'iTXt',
          'XML:com.adobe.xmp',
          '\x01\0\0\0',
          deflateSync(xmp(orientation, true)).toString('latin1'),
        ),
      ],
    }),
    'a raw profile': (orientation) => ({
      before: [
        text('zTXt', 'Raw profile type exif', '\0', deflateSync(profile(orientation)).toString('latin1')),
      ],
    }),
  }
  const samples = quarters.map((colour) => colour.slice(0, 3))
  return Object.entries(sources).flatMap(([name, chunks]) =>
    orientations.map((orientation) => ({
      name: `PNG turned ${orientation} by ${name}`,
      bytes: makePng({ colourType: 2, bits: 8, ...chunks(orientation) }, samples),
      ...shown(orientation),
      tolerance: exact,
    })),
  )
}

function ycc([red, green, blue]: readonly number[]): number[] {
  const luma = 0.299 * red! + 0.587 * green! + 0.114 * blue!
  return [luma, 128 + (blue! - luma) / 1.772, 128 + (red! - luma) / 1.402].map((part) =>
    Math.max(0, Math.min(255, Math.round(part))),
  )
}

const yccSamples = quarters.map(ycc)

function jpegModels(): PictureCase[] {
  const rgb = quarters.map((colour) => colour.slice(0, 3))
  const inks = rgb.map((colour) => [...colour, 255])
  const levels = [[20], [90], [170], [250]]
  const models: Record<string, JpegForm & { seen?: Quarters }> = {
    'YCbCr with JFIF': { samples: yccSamples, segments: [jfif] },
    'YCbCr with no marker': { samples: yccSamples },
    "YCbCr with Adobe's marker": { samples: yccSamples, segments: [adobe(1)] },
    "RGB with Adobe's marker": { samples: rgb, segments: [adobe(0)] },
    'RGB by its names': { samples: rgb, ids: [0x52, 0x47, 0x42] },
    // Adobe stores how little ink there is
    CMYK: { samples: inks, segments: [adobe(0)] },
    YCCK: {
      samples: rgb.map((colour) => [...ycc(colour.map((part) => 255 - part)), 255]),
      segments: [adobe(2)],
    },
    grey: {
      samples: levels,
      seen: levels.map(([level]) => [level, level, level, 255]) as unknown as Quarters,
    },
  }
  return Object.entries(models).flatMap(([name, { seen = quarters, ...form }]) =>
    [{}, { isProgressive: true }, { restartEvery: 3 }].map((more) => ({
      name: `JPEG ${name}${Object.keys(more).join()}`,
      bytes: makeJpeg({ ...form, ...more }),
      ...shown(1, seen),
      tolerance: rounded,
    })),
  )
}

function jpegSamplings(): PictureCase[] {
  const samplings: Record<string, [number, number]> = {
    '4:2:2': [2, 1],
    '4:2:0': [2, 2],
    '4:1:1': [4, 1],
    '4:4:0': [1, 2],
    '4:1:0': [4, 2],
  }
  return Object.entries(samplings).flatMap(([name, luma]) =>
    [false, true].map((isProgressive) => ({
      name: `JPEG ${name}${isProgressive ? ', progressive' : ''}`,
      bytes: makeJpeg({
        samples: yccSamples,
        sampling: [luma, [1, 1], [1, 1]],
        isProgressive,
        segments: [jfif],
      }),
      ...shown(1),
      tolerance: rounded,
    })),
  )
}

function jpegOrientations(): PictureCase[] {
  const app1 = (...parts: (Buffer | string)[]) =>
    segment(0xe1, ...parts.map((part) => Buffer.from(part as string, 'latin1')))
  const sources: Record<string, (orientation: number) => Buffer[]> = {
    'EXIF, little-endian': (orientation) => [app1('Exif\0\0', exif(orientation))],
    'EXIF, big-endian': (orientation) => [jfif, app1('Exif\0\0', exif(orientation, { isLittle: false }))],
    'EXIF behind junk': (orientation) => [
      segment(0xfe, 'a comment'),
      Buffer.from('stray bytes'),
      segment(0xe1, 'something else'),
      app1('Exif\0\0', exif(orientation, { gap: 30 })),
    ],
    'EXIF with a long': (orientation) => [
      app1('Exif\0\0', exif(orientation, { isLittle: false, asLong: true })),
    ],
    XMP: (orientation) => [app1('http://ns.adobe.com/xap/1.0/\0', xmp(orientation))],
  }
  return Object.entries(sources).flatMap(([name, segments]) =>
    orientations.map((orientation) => ({
      name: `JPEG turned ${orientation} by ${name}`,
      bytes: makeJpeg({ samples: yccSamples, segments: segments(orientation) }),
      ...shown(orientation),
      tolerance: rounded,
    })),
  )
}

function painted(colours: Quarters) {
  const canvas = createCanvas(width, height)
  const context = canvas.getContext('2d')
  for (const [index, [red, green, blue, alpha]] of colours.entries()) {
    context.fillStyle = `rgba(${red},${green},${blue},${alpha / 255})`
    context.fillRect((index % 2) * (width / 2), (index >> 1) * (height / 2), width / 2, height / 2)
  }
  return canvas
}

async function webps(): Promise<PictureCase[]> {
  const canvas = painted(quarters)
  const plain = { lossless: await canvas.encode('webp', 100), lossy: await canvas.encode('webp', 90) }
  const veiled = quarters.map(
    ([red, green, blue], index) => [red, green, blue, index === 3 ? 0 : 255] as Colour,
  )
  const clear = veiled.map((colour) =>
    colour[3] === 0 ? ([0, 0, 0, 0] as Colour) : colour,
  ) as unknown as Quarters
  const sources: Record<string, (orientation: number) => Buffer> = {
    'EXIF, little-endian': (orientation) => riffChunk('EXIF', exif(orientation)),
    'EXIF, big-endian': (orientation) => riffChunk('EXIF', exif(orientation, { isLittle: false })),
    'EXIF with its name in front': (orientation) =>
      riffChunk('EXIF', Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), exif(orientation)])),
    XMP: (orientation) => riffChunk('XMP ', Buffer.from(xmp(orientation))),
  }
  const turned = Object.entries(sources).flatMap(([name, chunk], index) =>
    orientations.map((orientation) => ({
      name: `WebP turned ${orientation} by ${name}`,
      bytes: extendedWebp(index % 2 === 0 ? plain.lossless : plain.lossy, { behind: [chunk(orientation)] }),
      ...shown(orientation),
      tolerance: lossy,
    })),
  )
  const still = async (name: string, colours: Quarters, quality: number, seen = colours) => ({
    name: `WebP ${name}`,
    bytes: await painted(colours).encode('webp', quality),
    ...shown(1, seen),
    tolerance: quality === 100 ? exact : lossy,
  })
  return [
    ...turned,
    await still('lossless', quarters, 100),
    await still('lossy', quarters, 90),
    await still('lossless with opacity', veiled as unknown as Quarters, 100, clear),
    await still('lossy with opacity', veiled as unknown as Quarters, 90, clear),
  ]
}

function gifs(): PictureCase[] {
  const indexes = [0, 1, 2, 3]
  const clearFourth = quarters.map((colour, index) => (index === 3 ? ([0, 0, 0, 0] as Colour) : colour))
  const others = [quarters[3], quarters[2], quarters[1], quarters[0]] as const
  const files: Record<string, { frames: GifFrame[]; seen?: Quarters; comment?: string }> = {
    plain: { frames: [{ indexes }] },
    interlaced: { frames: [{ indexes, isInterlaced: true }] },
    'with a clear colour': {
      frames: [{ indexes, transparent: 3 }],
      seen: clearFourth as unknown as Quarters,
    },
    'with a table of its own': { frames: [{ indexes, table: others }], seen: others },
    'interlaced with a table of its own': {
      frames: [{ indexes, isInterlaced: true, table: others }],
      seen: others,
    },
    moving: { frames: [{ indexes }, { indexes: [3, 2, 1, 0] }] },
    'with a comment': { frames: [{ indexes }], comment: 'made for a test' },
  }
  return Object.entries(files).map(([name, { frames, seen = quarters, comment }]) => ({
    name: `GIF ${name}`,
    bytes: makeGif(quarters, frames, comment),
    ...shown(1, seen),
    tolerance: exact,
  }))
}

/** Pictures with a profile under which red and green change places. */
async function profiles(): Promise<PictureCase[]> {
  const icc = swappedProfile()
  const swapped = quarters.map(([red, green, blue, alpha]) => [green, red, blue, alpha] as Colour)
  const seen = swapped as unknown as Quarters
  const plain = quarters.map((colour) => colour.slice(0, 3))
  const app2 = segment(0xe2, 'ICC_PROFILE\0', [1, 1], icc)
  const iccp = pngChunk('iCCP', Buffer.concat([Buffer.from('swapped\0\0', 'latin1'), deflateSync(icc)]))
  const webpWith = async (quality: number, behind: Buffer[] = []) =>
    extendedWebp(await painted(quarters).encode('webp', quality), {
      before: [riffChunk('ICCP', icc)],
      behind,
    })
  return [
    {
      name: 'JPEG with a profile',
      bytes: makeJpeg({ samples: yccSamples, segments: [jfif, app2] }),
      ...shown(1, seen),
      tolerance: lossy,
    },
    {
      name: 'JPEG with a profile, turned',
      bytes: makeJpeg({ samples: yccSamples, segments: [segment(0xe1, 'Exif\0\0', exif(6)), app2] }),
      ...shown(6, seen),
      tolerance: lossy,
    },
    {
      name: 'PNG with a profile',
      bytes: makePng({ colourType: 2, bits: 8, before: [iccp] }, plain),
      ...shown(1, seen),
      tolerance: lossy,
    },
    {
      name: 'PNG of 16 bits with a profile',
      bytes: makePng(
        { colourType: 2, bits: 16, before: [iccp] },
        plain.map((pixel) => pixel.map((value) => value * 257)),
      ),
      ...shown(1, seen),
      tolerance: lossy,
    },
    { name: 'WebP with a profile', bytes: await webpWith(100), ...shown(1, seen), tolerance: lossy },
    {
      name: 'WebP with a profile, turned',
      bytes: await webpWith(90, [riffChunk('EXIF', exif(8))]),
      ...shown(8, seen),
      tolerance: lossy,
    },
  ]
}
