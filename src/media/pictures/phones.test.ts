import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { createCanvas, loadImage } from '@napi-rs/canvas'
import sharp from 'sharp'
import { decodePicture } from './decode.ts'

const [red, green, blue, white] = [
  [220, 30, 30, 255],
  [30, 200, 30, 255],
  [30, 30, 220, 255],
  [240, 240, 240, 255],
] as const
const colours = [red, green, blue, white]
const clear = [0, 0, 0, 0]
const [width, height] = [64, 40]

const raw = Buffer.alloc(width * height * 3)
for (let y = 0; y < height; y += 1) {
  for (let x = 0; x < width; x += 1) {
    const colour = colours[(y < height / 2 ? 0 : 2) + (x < width / 2 ? 0 : 1)]!
    raw.set(colour.slice(0, 3), (y * width + x) * 3)
  }
}
const drawn = () => sharp(raw, { raw: { width, height, channels: 3 } })
const heic = (name: string) => readFile(new URL(`../../../test/media/${name}.heic`, import.meta.url))

/** The colour of each quarter, row by row. */
async function quarters(bytes: Buffer) {
  const found = await decodePicture(bytes, 1_000_000)
  assert.ok(found.ok, JSON.stringify(found))
  const context = createCanvas(found.width, found.height).getContext('2d')
  context.drawImage(found.picture, 0, 0)
  const colours = [1, 3].flatMap((row) =>
    [1, 3].map((column) => {
      const [x, y] = [(column * found.width) / 4, (row * found.height) / 4]
      return [...context.getImageData(x, y, 1, 1).data]
    }),
  )
  return { colours, size: [found.width, found.height], contentType: found.contentType }
}

/** Within what lossy formats change. */
function assertColours(found: number[][], wanted: readonly (readonly number[])[], tolerance = 4) {
  for (const [index, colour] of wanted.entries()) {
    const off = Math.max(...colour.map((value, at) => Math.abs(value - found[index]![at]!)))
    assert.ok(off <= tolerance, `quarter ${index} is ${found[index]}, not ${colour}`)
  }
}

/** A BMP of the four colours. `bits` 4 and 8 have a palette, 16 has masks for 5, 6 and 5 bits, or none for three times 5. */
function bmp(bits: number, { topDown = false, masks = false, packed = false } = {}): Buffer {
  const rows = Array.from({ length: height }, (_, y) => (topDown ? y : height - 1 - y))
  const indexAt = (x: number, y: number) => (y < height / 2 ? 0 : 2) + (x < width / 2 ? 0 : 1)
  const rowOf = (y: number) => {
    const row = Buffer.alloc(Math.ceil((width * bits) / 32) * 4)
    for (let x = 0; x < width; x += 1) {
      const index = indexAt(x, y)
      const [r, g, b] = colours[index]!
      if (bits === 1) row[x >> 3]! |= (index & 1) << (7 - (x & 7))
      else if (bits === 4) row[x >> 1]! |= index << (x & 1 ? 0 : 4)
      else if (bits === 8) row[x] = index
      else if (masks) row.writeUInt16LE(((r >> 3) << 11) | ((g >> 2) << 5) | (b >> 3), x * 2)
      else if (bits === 16) row.writeUInt16LE(((r >> 3) << 10) | ((g >> 3) << 5) | (b >> 3), x * 2)
      else row.set(bits === 24 ? [b, g, r] : [b, g, r, 255], (x * bits) / 8)
    }
    return row
  }
  const runs = (y: number) => Buffer.from([width / 2, indexAt(0, y), width / 2, indexAt(width - 1, y), 0, 0])
  const pixels = Buffer.concat([...rows.map(packed ? runs : rowOf), ...(packed ? [Buffer.from([0, 1])] : [])])
  const palette = bits <= 8 ? colours.slice(0, bits === 1 ? 2 : 4).flatMap(([r, g, b]) => [b, g, r, 0]) : []
  const words = Buffer.alloc(masks ? 12 : 0)
  for (const [index, mask] of (masks ? [0xf800, 0x07e0, 0x001f] : []).entries())
    words.writeUInt32LE(mask, index * 4)
  const head = Buffer.alloc(54)
  const start = head.length + words.length + palette.length
  head.write('BM', 'latin1')
  head.writeUInt32LE(start + pixels.length, 2)
  head.writeUInt32LE(start, 10)
  head.writeUInt32LE(40, 14)
  head.writeInt32LE(width, 18)
  head.writeInt32LE(topDown ? -height : height, 22)
  head.writeUInt16LE(1, 26)
  head.writeUInt16LE(bits, 28)
  head.writeUInt32LE(packed ? 1 : masks ? 3 : 0, 30)
  head.writeUInt32LE(pixels.length, 34)
  head.writeUInt32LE(palette.length / 4, 46)
  return Buffer.concat([head, words, Buffer.from(palette), pixels])
}

test('a HEIC shows its primary picture, in 8 bits and sRGB, turned as its boxes say', async () => {
  const plain = await quarters(await heic('quarters'))
  assert.deepEqual([plain.contentType, plain.size], ['image/heic', [width, height]])
  assertColours(plain.colours, colours)
  assertColours((await quarters(await heic('ten-bits'))).colours, colours)
  assertColours((await quarters(await heic('second-is-primary'))).colours, colours)
  assertColours((await quarters(await heic('alpha'))).colours, [clear, green, blue, white])
  const turned = await quarters(await heic('turned'))
  assert.deepEqual(turned.size, [height, width])
  assertColours(turned.colours, [blue, red, white, green])
})

function box(name: string, ...content: (Buffer | number[])[]): Buffer {
  const body = Buffer.concat(content.map((part) => Buffer.from(part)))
  const head = Buffer.alloc(8)
  head.writeUInt32BE(8 + body.length)
  head.write(name, 4, 'latin1')
  return Buffer.concat([head, body])
}

const [short, long] = [
  (value: number) => [value >> 8, value & 255],
  (value: number) => [...short(value >>> 16), ...short(value & 65_535)],
]

/** As phones write their photographs: tiles in a grid, here two beside each other, cut to `shown` of their width. */
async function grid(shown: number): Promise<Buffer> {
  const tile = await heic('display-p3')
  const copied = (name: string) => {
    const at = tile.indexOf(name) - 4
    return tile.subarray(at, at + tile.readUInt32BE(at))
  }
  const data = copied('mdat').subarray(8)
  const plain = [0, 0, 0, 0]
  const item = (id: number, type: string, flags = 0) =>
    box('infe', [2, 0, 0, flags], short(id), short(0), Buffer.from(`${type}\0`))
  const gridData = Buffer.from([0, 0, 0, 1, ...short(shown), ...short(height)])
  const ftyp = box('ftyp', Buffer.from('heic\0\0\0\0mif1heic'))
  const meta = (start: number) =>
    box(
      'meta',
      plain,
      box('hdlr', plain, plain, Buffer.from('pict'), Buffer.alloc(13)),
      box('pitm', plain, short(3)),
      box('iinf', plain, short(3), item(1, 'hvc1', 1), item(2, 'hvc1', 1), item(3, 'grid')),
      box('iref', plain, box('dimg', short(3), short(2), short(1), short(2))),
      box(
        'iprp',
        box(
          'ipco',
          copied('hvcC'),
          // in whole blocks; the rest is cut off
          box('ispe', plain, long(width), long(64)),
          box('ispe', plain, long(shown), long(height)),
        ),
        box('ipma', plain, long(3), ...[1, 2].map((id) => [...short(id), 2, 0x81, 2]), [...short(3), 1, 3]),
      ),
      box(
        'iloc',
        plain,
        [0x44, 0],
        short(3),
        ...[1, 2].map((id) => [...short(id), 0, 0, 0, 1, ...long(start), ...long(data.length)]),
        [...short(3), 0, 0, 0, 1, ...long(start + data.length), ...long(gridData.length)],
      ),
    )
  const start = ftyp.length + meta(0).length + 8
  return Buffer.concat([ftyp, meta(start), box('mdat', data, gridData)])
}

test('a HEIC in tiles is joined, and cut to its size', async () => {
  const shown = 2 * width - 4
  const found = await decodePicture(await grid(shown), 1_000_000)
  assert.ok(found.ok, JSON.stringify(found))
  assert.deepEqual([found.width, found.height], [shown, height])
  const context = createCanvas(shown, height).getContext('2d')
  context.drawImage(found.picture, 0, 0)
  const seen = [1, 3].flatMap((row) =>
    [1, 3, 5, 7].map((column) => [
      ...context.getImageData((column * width) / 4, (row * height) / 4, 1, 1).data,
    ]),
  )
  assertColours(seen, [red, green, red, green, blue, white, blue, white])
})

test('a picture whose file tells another size than its data have, or tells of itself in a loop, ends as an error', async () => {
  const cut = { ok: false, message: 'The picture is cut off or corrupt.' }
  for (const bytes of [await heic('quarters'), await drawn().avif().toBuffer()]) {
    const at = bytes.indexOf('ispe') + 8
    for (const side of [7_000, 20_000]) {
      bytes.writeUInt32BE(side, at)
      bytes.writeUInt32BE(side, at + 4)
      const found = await decodePicture(bytes, 50_000_000)
      // the HEIC has a cut, too, which holds whatever size it is made from
      const isTold = side === 20_000 && bytes.toString('latin1', 8, 12) === 'avif'
      if (!isTold) assert.deepEqual(found, cut)
      else assert.match((!found.ok && found.message) || '', /20000 × 20000 pixels; at most 50 megapixels/)
    }
  }
  // a table of tags that names itself as that of the next page
  const looped = await drawn().tiff({ compression: 'none' }).toBuffer()
  const table = looped.readUInt32LE(4)
  looped.writeUInt32LE(table, table + 2 + 12 * looped.readUInt16LE(table))
  assertColours((await quarters(looped)).colours, colours, 0)
})

test('a wide-gamut profile is turned into sRGB, whatever the format', async () => {
  const stored = [[240, 0, 1, 255], [0, 204, 0, 255], [32, 30, 229, 255], white] as const
  assertColours((await quarters(await heic('display-p3'))).colours, stored, 6)
  // a picture that is written in Display P3 comes back as it was
  for (const format of ['avif', 'tiff', 'png'] as const) {
    const bytes = await drawn().withIccProfile('p3').toFormat(format, { quality: 95 }).toBuffer()
    assertColours((await quarters(bytes)).colours, colours, 6)
  }
})

/** A picture in Display P3 whose file names, in the place of its profile, its colours by numbers. */
async function tagged(pixels: Buffer, format: 'avif' | 'png', [primaries, transfer]: [number, number]) {
  const picture = sharp(pixels, { raw: { width, height, channels: 3 } }).withIccProfile('p3')
  if (format === 'avif') {
    const bytes = await picture.avif({ quality: 95, chromaSubsampling: '4:4:4' }).toBuffer()
    const at = bytes.indexOf('colrrICC') + 4
    assert.ok(at > 4)
    bytes.write('nclx', at, 'latin1')
    for (const [index, number] of [primaries, transfer, 6].entries())
      bytes.writeUInt16BE(number, at + 4 + 2 * index)
    bytes[at + 10] = 0x80
    return bytes
  }
  const bytes = await picture.png().toBuffer()
  const chunk = Buffer.from([0, 0, 0, 4, ...Buffer.from('cICP'), primaries, transfer, 0, 1, 0, 0, 0, 0])
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 12)), 12)
  return Buffer.concat([bytes.subarray(0, 33), chunk, bytes.subarray(33)])
}

test('a picture in Display P3 by numbers, without a profile, is turned into sRGB', async () => {
  for (const format of ['avif', 'png'] as const) {
    assertColours((await quarters(await tagged(raw, format, [12, 13]))).colours, colours, 6)
  }
  const numbered = await heic('quarters')
  const at = numbered.indexOf('nclx') + 4
  numbered.writeUInt16BE(12, at)
  const profiled = (await quarters(await heic('display-p3'))).colours
  assertColours((await quarters(numbered)).colours, profiled, 6)
})

test('HDR white of PQ and HLG is shown alike, and brighter than it is told from it', async () => {
  // BT.2408: 203 cd/m² are 58 % of PQ and 75 % of HLG, and 1,000 cd/m² 75 % of PQ and all of HLG
  for (const [transfer, white, brightest] of [
    [16, 148, 192],
    [18, 191, 255],
  ] as const) {
    for (const format of ['avif', 'png'] as const) {
      const [at, top] = await Promise.all(
        [white, brightest].map(async (level) => {
          const bytes = await tagged(Buffer.alloc(raw.length, level), format, [9, transfer])
          return (await quarters(bytes)).colours[0]!
        }),
      )
      // a little over half of the light is left for what is brighter
      assertColours([at!], [[191, 191, 191, 255]], 5)
      assertColours([top!], [[255, 255, 255, 255]], 3)
    }
  }
})

test('an AVIF is decoded as still picture, with what is transparent', async () => {
  assertColours((await quarters(await drawn().avif({ quality: 90 }).toBuffer())).colours, colours)
  const canvas = createCanvas(width, height)
  canvas.getContext('2d').drawImage(await loadImage(await drawn().png().toBuffer()), 0, 0)
  canvas.getContext('2d').clearRect(0, 0, width / 2, height / 2)
  const found = await quarters(await canvas.encode('avif', { quality: 90 }))
  assert.equal(found.contentType, 'image/avif')
  assertColours(found.colours, [clear, green, blue, white])
})

for (const orientation of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`a TIFF of orientation ${orientation} is upright`, async () => {
    const found = await quarters(
      await drawn().withMetadata({ orientation }).tiff({ compression: 'none' }).toBuffer(),
    )
    const places = ['0123', '1032', '3210', '2301', '0213', '2031', '3120', '1302'][orientation - 1]!
    assertColours(
      found.colours,
      [...places].map((place) => colours[Number(place)]!),
      0,
    )
  })
}

test('TIFFs are read however they are packed, tiled, and whatever their colours are', async () => {
  for (const compression of ['lzw', 'deflate', 'packbits', 'jpeg', 'none'] as const) {
    for (const tile of [false, true]) {
      const bytes = await drawn()
        .tiff({ compression, tile, tileWidth: 16, tileHeight: 16, quality: 95 })
        .toBuffer()
      assertColours((await quarters(bytes)).colours, colours, compression === 'jpeg' ? 6 : 0)
    }
  }
  const big = await drawn().tiff({ bigtiff: true, compression: 'lzw' }).toBuffer()
  assert.equal(big.readUInt16LE(2), 43)
  assertColours((await quarters(big)).colours, colours, 0)
  const sixteen = await drawn().toColourspace('rgb16').tiff({ compression: 'lzw' }).toBuffer()
  assertColours((await quarters(sixteen)).colours, colours, 1)
  const inks = await quarters(await drawn().toColourspace('cmyk').tiff().toBuffer())
  assert.ok(inks.colours[0]![0]! > 150 && inks.colours[0]![1]! < 90, String(inks.colours[0]))
})

test('BMPs of every depth are read, packed or not, whichever row comes first', async () => {
  for (const bits of [4, 8, 24, 32]) {
    for (const topDown of [false, true])
      assertColours((await quarters(bmp(bits, { topDown }))).colours, colours, 0)
  }
  assertColours((await quarters(bmp(1))).colours, [red, green, red, green], 0)
  assertColours((await quarters(bmp(16))).colours, colours, 8)
  assertColours((await quarters(bmp(16, { masks: true }))).colours, colours, 8)
  assertColours((await quarters(bmp(8, { packed: true }))).colours, colours, 0)
})

test('a picture of these formats that is cut off is told to be so, wherever it ends', async () => {
  const files: Record<string, Buffer> = {
    heic: await heic('quarters'),
    avif: await drawn().avif().toBuffer(),
    tiff: await drawn().tiff({ compression: 'none' }).toBuffer(),
    bmp: bmp(24),
    packed: bmp(8, { packed: true }),
  }
  for (const [name, whole] of Object.entries(files)) {
    for (const share of [0.5, 0.9]) {
      const found = await decodePicture(whole.subarray(0, whole.length * share), 1_000_000)
      assert.deepEqual(
        found,
        { ok: false, message: 'The picture is cut off or corrupt.' },
        `${name} ${share}`,
      )
    }
  }
})

test('a picture of these formats with more pixels than are taken is refused by what its header says', async () => {
  const files = [
    await heic('quarters'),
    await drawn().avif().toBuffer(),
    await drawn().tiff().toBuffer(),
    bmp(24),
  ]
  for (const file of files) {
    const found = await decodePicture(file, 1_000)
    assert.match((!found.ok && found.message) || '', /^The picture has 64 × 40 pixels; at most/)
  }
})
