import assert from 'node:assert/strict'
import { randomFillSync } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { crc32 } from 'node:zlib'
import { createCanvas, GifDisposal, GifEncoder, loadImage } from '@napi-rs/canvas'
import { maxInputBytes, sniff } from './image.ts'
import { createMedia } from './media.ts'

const directory = await mkdtemp(join(tmpdir(), 'filmgate-convert-'))
const media = createMedia({ maxPixels: 5_000_000 })
after(async () => {
  await media.close()
  await rm(directory, { recursive: true })
})

const [width, height] = [40, 20]
const white = [255, 255, 255, 255]
const anew = ['made anew without metadata']
const [red, blue] = [
  [255, 0, 0, 255],
  [0, 0, 255, 255],
]

/** The upper left quarter is of one colour, and the rest of another, or of none. */
function paint(corner: string, rest?: string) {
  const canvas = createCanvas(width, height)
  const context = canvas.getContext('2d')
  if (rest !== undefined) {
    context.fillStyle = rest
    context.fillRect(0, 0, width, height)
  }
  context.fillStyle = corner
  context.fillRect(0, 0, width / 2, height / 2)
  return canvas
}

const all = ['image/jpeg', 'image/png'] as const
let files = 0

async function convert(bytes: Uint8Array, types: readonly (typeof all)[number][] = all) {
  const path = join(directory, `${++files}`)
  const target = `${path}-made`
  await writeFile(path, bytes)
  return { target, outcome: await media.cleanPicture(path, target, types) }
}

/** The picture that was made, which must be what it is said to be, as four pixels: row by row, of each quarter one. */
async function quarters({ target, outcome }: Awaited<ReturnType<typeof convert>>) {
  assert.ok(outcome.ok, JSON.stringify(outcome))
  const bytes = await readFile(target)
  assert.equal(await sniff(bytes), outcome.contentType)
  const image = await loadImage(bytes)
  assert.deepEqual([image.width, image.height], [outcome.width, outcome.height])
  const context = createCanvas(image.width, image.height).getContext('2d')
  context.drawImage(image, 0, 0)
  return [1, 3].flatMap((row) =>
    [1, 3].map((column) => {
      const [x, y] = [(column * image.width) / 4, (row * image.height) / 4]
      return [...context.getImageData(x, y, 1, 1).data]
    }),
  )
}

test('a WebP becomes a PNG of the same pixels, over white', async () => {
  const made = await convert(await paint('red').encode('webp', 100))
  assert.deepEqual(made.outcome, { ok: true, contentType: 'image/png', width, height, changes: anew })
  assert.deepEqual(await quarters(made), [red, white, white, white])
})

test('of a GIF that moves the first frame is taken', async () => {
  const encoder = new GifEncoder(width, height)
  for (const canvas of [paint('red', 'blue'), paint('lime', 'white')]) {
    const { data } = canvas.getContext('2d').getImageData(0, 0, width, height)
    encoder.addFrame(new Uint8Array(data.buffer), width, height, { delay: 100, disposal: GifDisposal.Keep })
  }
  assert.deepEqual(await quarters(await convert(encoder.finish())), [red, blue, blue, blue])
})

test('of a WebP that moves the first frame is taken', async () => {
  const header = Buffer.alloc(10)
  header[0] = 0x12
  writeSize(header, 4)
  const frames = await Promise.all(
    [paint('red', 'blue'), paint('lime', 'white')].map(async (canvas) => {
      const place = Buffer.alloc(16)
      writeSize(place, 6)
      place.writeUIntLE(100, 12, 3)
      const [, picture] = chunksOf(await canvas.encode('webp', 100)).find(([name]) => name === 'VP8L')!
      return chunk('ANMF', Buffer.concat([place, chunk('VP8L', picture)]))
    }),
  )
  const moving = riff([chunk('VP8X', header), chunk('ANIM', Buffer.alloc(6)), ...frames])
  assert.deepEqual(await quarters(await convert(moving)), [red, blue, blue, blue])
})

test('a picture that lies on its side by EXIF is made upright', async () => {
  const header = Buffer.alloc(10)
  header[0] = 0x18
  writeSize(header, 4)
  const turned = Buffer.from('4d4d002a00000008000101120003000000010006000000000000', 'hex')
  const picture = chunksOf(await paint('red', 'blue').encode('webp', 100)).filter(([name]) => name === 'VP8L')
  const lying = riff([
    chunk('VP8X', header),
    ...picture.map(([name, data]) => chunk(name, data)),
    chunk('EXIF', turned),
  ])
  const made = await convert(lying)
  assert.deepEqual(made.outcome, {
    ok: true,
    contentType: 'image/png',
    width: height,
    height: width,
    changes: anew,
  })
  assert.deepEqual(await quarters(made), [blue, red, blue, blue])
})

test('where only JPEG is wanted what is transparent becomes white', async () => {
  const made = await convert(await paint('red').encode('webp', 100), ['image/jpeg'])
  const [first, ...rest] = await quarters(made)
  assert.equal(made.outcome.ok && made.outcome.contentType, 'image/jpeg')
  assert.ok(first![0]! > 240 && first![1]! < 15, `${first}`)
  for (const pixel of rest)
    assert.ok(
      pixel.every((part) => part > 240),
      `${pixel}`,
    )
})

test('a PNG that would be larger than pictures may be gives way to a JPEG, where that is wanted', async () => {
  const noisy = createCanvas(2000, 2000)
  const context = noisy.getContext('2d')
  const pixels = context.createImageData(2000, 2000)
  let noise = 1
  for (let at = 0; at < pixels.data.length; at += 1) {
    noise = (Math.imul(noise, 1_664_525) + 1_013_904_223) >>> 0
    pixels.data[at] = at % 4 === 3 ? 255 : noise >>> 24
  }
  context.putImageData(pixels, 0, 0)
  const bytes = await noisy.encode('webp', 60)
  const either = await convert(bytes)
  assert.equal(either.outcome.ok && either.outcome.contentType, 'image/jpeg')
  const png = await convert(bytes, ['image/png'])
  assert.equal(png.outcome.ok && png.outcome.contentType, 'image/png')
  assert.ok(png.outcome.ok && png.outcome.width < 2000 && /scaled down/.test(String(png.outcome.changes)))
  assert.ok((await stat(png.target)).size <= maxInputBytes.image)
})

test('a picture of so many pixels that a PNG would take long becomes a JPEG, and is scaled down until it fits', async () => {
  const large = createMedia()
  const path = join(directory, 'large')
  const make = async (bytes: Uint8Array) => {
    await writeFile(path, bytes)
    return large.cleanPicture(path, `${path}-made`, all)
  }
  try {
    const flat = await make(await createCanvas(4000, 3000).encode('webp', 50))
    assert.deepEqual(flat, { ok: true, contentType: 'image/jpeg', width: 4000, height: 3000, changes: anew })
    const noisy = createCanvas(4000, 4000)
    const context = noisy.getContext('2d')
    const pixels = context.createImageData(4000, 4000)
    randomFillSync(pixels.data)
    for (let at = 3; at < pixels.data.length; at += 4) pixels.data[at] = 255
    context.putImageData(pixels, 0, 0)
    const fine = await make(await noisy.encode('webp', 5))
    assert.ok(fine.ok && fine.width < 4000 && fine.width === fine.height, JSON.stringify(fine))
    assert.ok((await stat(`${path}-made`)).size <= maxInputBytes.image)
  } finally {
    await large.close()
  }
})

test('what cannot be decoded, or has too many pixels, is told and makes no file', async () => {
  const whole = await paint('red', 'blue').encode('webp', 100)
  const cut = await convert(whole.subarray(0, -10))
  assert.deepEqual(cut.outcome, { ok: false, message: 'The picture is cut off or corrupt.' })
  const large = await convert(await createCanvas(3000, 2000).encode('webp', 10))
  assert.match(large.outcome.ok ? '' : large.outcome.message, /at most 5 megapixels/)
  const names = await readdir(directory)
  for (const { target } of [cut, large]) assert.ok(!names.some((name) => target.endsWith(`/${name}`)))
})

function writeSize(into: Buffer, at: number): void {
  into.writeUIntLE(width - 1, at, 3)
  into.writeUIntLE(height - 1, at + 3, 3)
}

function chunk(name: string, data: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(data.length)
  return Buffer.concat([Buffer.from(name), length, data, Buffer.alloc(data.length % 2)])
}

function chunksOf(webp: Buffer): [name: string, data: Buffer][] {
  const chunks: [string, Buffer][] = []
  for (let at = 12; at + 8 <= webp.length; ) {
    const end = at + 8 + webp.readUInt32LE(at + 4)
    chunks.push([webp.toString('latin1', at, at + 4), webp.subarray(at + 8, end)])
    at = end + (end % 2)
  }
  return chunks
}

function riff(chunks: Buffer[]): Buffer {
  return chunk('RIFF', Buffer.concat([Buffer.from('WEBP'), ...chunks]))
}

const markers = /Exif|http:\/\/ns\.adobe|ICC_PROFILE|iCCP|eXIf|tEXt|SECRET|JFXX|MPF\0/

/** A JPEG of two colours with whatever phones put beside the picture. */
async function phoneJpeg(orientation: number): Promise<Buffer> {
  const jpeg = await paint('red', 'blue').encode('jpeg', 100)
  const tiff = Buffer.from(`4d4d002a000000080001011200030000000100${'0'}${orientation}000000000000`, 'hex')
  const segment = (marker: number, body: Buffer) => {
    const head = Buffer.from([0xff, marker, 0, 0])
    head.writeUInt16BE(body.length + 2, 2)
    return Buffer.concat([head, body])
  }
  return Buffer.concat([
    jpeg.subarray(0, 2),
    segment(0xe1, Buffer.concat([Buffer.from('Exif\0\0'), tiff, Buffer.from('SECRET camera')])),
    segment(0xe1, Buffer.from('http://ns.adobe.com/xap/1.0/\0SECRET place')),
    segment(0xe2, Buffer.from('MPF\0SECRET')),
    segment(0xed, Buffer.from('Photoshop 3.0\0SECRET')),
    segment(0xfe, Buffer.from('SECRET comment')),
    jpeg.subarray(2),
    Buffer.from('SECRET film behind the end'),
  ])
}

test('an upright JPEG in sRGB loses what is beside its picture, whose data stay byte for byte', async () => {
  const plain = await paint('red', 'blue').encode('jpeg', 100)
  const made = await convert(await phoneJpeg(1))
  const bytes = await readFile(made.target)
  assert.doesNotMatch(bytes.toString('latin1'), markers)
  assert.deepEqual(made.outcome, {
    ok: true,
    contentType: 'image/jpeg',
    width,
    height,
    changes: ['metadata removed'],
  })
  const scan = plain.subarray(plain.indexOf(Buffer.from([0xff, 0xda])))
  assert.ok(bytes.subarray(-scan.length).equals(scan))
  // and what is clean already is left as it is
  const again = await convert(bytes)
  assert.deepEqual(again.outcome.ok && again.outcome.changes, [])
  assert.deepEqual(await readFile(again.target), bytes)
})

test('a JPEG that lies on its side by EXIF is made upright, and carries nothing else', async () => {
  const made = await convert(await phoneJpeg(6))
  assert.ok(made.outcome.ok)
  assert.deepEqual([made.outcome.width, made.outcome.height], [height, width])
  assert.doesNotMatch((await readFile(made.target)).toString('latin1'), markers)
})

test('every picture of a phone is handed on without camera, place and profile', async () => {
  for (const name of ['quarters', 'display-p3', 'turned', 'ten-bits', 'alpha']) {
    const made = await convert(await readFile(new URL(`../../test/media/${name}.heic`, import.meta.url)))
    assert.equal(made.outcome.ok && made.outcome.contentType, 'image/jpeg')
    assert.doesNotMatch((await readFile(made.target)).toString('latin1'), markers)
  }
})

test('a PNG loses its texts and profile, 16 bits and transparency, and else nothing', async () => {
  const { default: sharp } = await import('sharp')
  const plain = await sharp(await paint('red', 'blue').encode('png'))
    .removeAlpha()
    .png()
    .toBuffer()
  const text = Buffer.from('tEXtSECRET\0place')
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(text.length - 4)
  sum.writeUInt32BE(crc32(text))
  const end = plain.length - 12
  const told = Buffer.concat([
    plain.subarray(0, end),
    length,
    text,
    sum,
    plain.subarray(end),
    Buffer.from('SECRET'),
  ])
  const made = await convert(told)
  assert.deepEqual(made.outcome.ok && made.outcome.changes, ['metadata removed'])
  assert.doesNotMatch((await readFile(made.target)).toString('latin1'), markers)
  assert.deepEqual(await quarters(made), [red, blue, blue, blue])
  const wide = await convert(await sharp(plain).toColourspace('rgb16').png().toBuffer())
  assert.equal((await readFile(wide.target))[24], 8)
  const clear = await convert(await paint('red').encode('png'))
  assert.deepEqual(await quarters(clear), [red, white, white, white])
})
