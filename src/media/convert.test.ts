import assert from 'node:assert/strict'
import { randomFillSync } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
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
const clear = [0, 0, 0, 0]
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
  return { target, outcome: await media.convert(path, target, [...types]) }
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

test('a WebP becomes a PNG of the same pixels, with what is transparent', async () => {
  const made = await convert(await paint('red').encode('webp', 100))
  assert.deepEqual(made.outcome, { ok: true, contentType: 'image/png', width, height })
  assert.deepEqual(await quarters(made), [red, clear, clear, clear])
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
  assert.deepEqual(made.outcome, { ok: true, contentType: 'image/png', width: height, height: width })
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
  assert.ok((await stat(png.target)).size > maxInputBytes.image)
})

test('a picture of so many pixels that a PNG would take long becomes a JPEG, and one that is too large as that is no use', async () => {
  const large = createMedia()
  const path = join(directory, 'large')
  const make = async (bytes: Uint8Array) => {
    await writeFile(path, bytes)
    return large.convert(path, `${path}-made`, [...all])
  }
  try {
    const flat = await make(await createCanvas(4000, 3000).encode('webp', 50))
    assert.deepEqual(flat, { ok: true, contentType: 'image/jpeg', width: 4000, height: 3000 })
    const noisy = createCanvas(4000, 4000)
    const context = noisy.getContext('2d')
    const pixels = context.createImageData(4000, 4000)
    randomFillSync(pixels.data)
    for (let at = 3; at < pixels.data.length; at += 4) pixels.data[at] = 255
    context.putImageData(pixels, 0, 0)
    const fine = await make(await noisy.encode('webp', 5))
    assert.match(fine.ok ? '' : fine.message, /larger than 10 MB as a JPEG/)
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
