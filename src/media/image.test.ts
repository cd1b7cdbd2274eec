import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { crc32, deflateSync } from 'node:zlib'
import { createCanvas } from '@napi-rs/canvas'
import { sniff } from './image.ts'
import { createMedia } from './media.ts'

const directory = await mkdtemp(join(tmpdir(), 'filmgate-image-'))
const media = createMedia({ maxPixels: 1_000_000 })
after(async () => {
  await media.close()
  await rm(directory, { recursive: true })
})

const canvas = createCanvas(120, 80)
const context = canvas.getContext('2d')
for (let index = 0; index < 400; index += 1) {
  context.fillStyle = `hsl(${index * 37} 60% 50%)`
  context.fillRect((index * 61) % 120, (index * 17) % 80, 20, 12)
}
const pictures: Record<string, Buffer> = {
  'image/jpeg': canvas.toBuffer('image/jpeg'),
  'image/png': canvas.toBuffer('image/png'),
  'image/webp': canvas.toBuffer('image/webp'),
  'image/gif': await canvas.encode('gif'),
}

async function check(bytes: Buffer) {
  const path = join(directory, 'picture')
  await writeFile(path, bytes)
  return media.checkInput(path, ['image'])
}

for (const [contentType, bytes] of Object.entries(pictures)) {
  test(`a whole ${contentType} is accepted with its size, also with something behind its end`, async () => {
    const expected = { ok: true, kind: 'image', contentType, width: 120, height: 80 }
    assert.deepEqual(await check(bytes), expected)
    assert.deepEqual(await check(Buffer.concat([bytes, Buffer.from('more')])), expected)
    assert.equal(await sniff(bytes.subarray(0, 4100)), contentType)
  })

  test(`a ${contentType} cut off anywhere is invalid`, async () => {
    for (const share of [0.02, 0.1, 0.5, 0.9]) {
      const outcome = await check(bytes.subarray(0, Math.floor(bytes.length * share)))
      assert.equal(outcome.ok, false, `${share}`)
    }
    assert.equal((await check(bytes.subarray(0, -1))).ok, false)
  })
}

test('what is no picture is invalid, whatever it is', async () => {
  for (const bytes of ['', '<svg xmlns="http://www.w3.org/2000/svg"/>', '<html>', '%PDF-1.7\n']) {
    const outcome = await check(Buffer.from(bytes))
    assert.equal(
      outcome.ok === false && outcome.message,
      'The file is not a picture (JPEG, PNG, WebP, GIF, AVIF, HEIC, HEIF, BMP or TIFF).',
    )
  }
})

test('a PNG whose data was changed is invalid', async () => {
  const bytes = Buffer.from(pictures['image/png']!)
  const middle = bytes.length >> 1
  bytes[middle] = bytes[middle]! ^ 0xff
  assert.equal((await check(bytes)).ok, false)
})

function pngChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data])
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  sum.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, sum])
}

test('a small file that claims a huge picture is refused by its header alone', async () => {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(50_000, 0)
  header.writeUInt32BE(50_000, 4)
  header.set([8, 0], 8)
  const bomb = Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    pngChunk('IHDR', header),
    pngChunk('IDAT', deflateSync(Buffer.alloc(1_000_000))),
    pngChunk('IEND', Buffer.alloc(0)),
  ])
  // its pixels are cut off: who decoded them first would say so
  const outcome = await check(bomb)
  const message = 'The picture has 50000 × 50000 pixels; at most 1 megapixels are accepted.'
  assert.deepEqual(outcome, { ok: false, message })
})

test('a picture that lies on its side by EXIF has the size it is shown with', async () => {
  const exif = Buffer.from('ffe100224578696600004d4d002a00000008000101120003000000010006000000000000', 'hex')
  const jpeg = pictures['image/jpeg']!
  const rotated = Buffer.concat([jpeg.subarray(0, 2), exif, jpeg.subarray(2)])
  assert.deepEqual(await check(rotated), {
    ok: true,
    kind: 'image',
    contentType: 'image/jpeg',
    width: 80,
    height: 120,
  })
})

test('the event loop stays free while a large picture is decoded', async () => {
  const big = createCanvas(1000, 1000)
  let turns = 0
  const counter = setInterval(() => {
    turns += 1
  }, 1)
  const checks = Promise.all(Array.from({ length: 5 }, () => check(big.toBuffer('image/png'))))
  assert.ok((await checks).every((outcome) => outcome.ok))
  clearInterval(counter)
  assert.ok(turns > 5)
})

test('the magic bytes of film and sound are known, and their extension is not asked', async () => {
  const bytesOf = (hex: string) => Buffer.concat([Buffer.from(hex, 'hex'), Buffer.alloc(200)])
  assert.equal(await sniff(bytesOf('000000186674797069736f6d0000020069736f6d6d703431')), 'video/mp4')
  const webm = Buffer.from(
    '1a45dfa39f4286810142f7810142f2810442f381084282847765626d42878104428581021853',
    'hex',
  )
  assert.equal(await sniff(webm), 'video/webm')
  assert.equal(await sniff(Buffer.from('RIFF\x24\0\0\0WAVEfmt \x10\0\0\0', 'latin1')), 'audio/wav')
  assert.equal(
    await sniff(bytesOf('49443303000000084000')),
    'audio/mpeg',
    'behind a tag longer than what was read',
  )
  assert.equal(await sniff(bytesOf('fffb9064')), 'audio/mpeg')
  assert.equal(await sniff(Buffer.from('MZ')), undefined)
  assert.equal(await sniff(Buffer.alloc(0)), undefined)
})

const samples = join(import.meta.dirname, '../../../shared/media')
test('real photographs, grey, palette and one-bit pictures are accepted, a cut-off one is not', {
  skip: !existsSync(samples),
}, async () => {
  const names = ['chelsea.png', 'rocket.jpg', 'camera.png', 'palette_color.png', 'checker_bilevel.png']
  for (const name of names) {
    assert.equal((await check(await readFile(join(samples, name)))).ok, true, name)
  }
  assert.equal((await check(await readFile(join(samples, 'truncated.jpg')))).ok, false)
})
