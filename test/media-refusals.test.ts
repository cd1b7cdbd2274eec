import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { crc32, deflateSync } from 'node:zlib'
import { createCanvas } from '@napi-rs/canvas'
import { createMedia } from '../src/media/media.ts'
import { filmCase } from './oracle/films.ts'
import { makeJpeg } from './oracle/jpeg.ts'
import { makeGif, riffChunk, webp, webpChunks } from './oracle/other-formats.ts'
import { makePng, pngChunk } from './oracle/png.ts'
import { quarters } from './oracle/scene.ts'
import { mp3, wave } from './oracle/sounds.ts'

const folder = await mkdtemp(join(tmpdir(), 'filmgate-refusals-'))
const media = createMedia()
after(async () => {
  await media.close()
  await rm(folder, { recursive: true })
})

async function check(bytes: Buffer) {
  const path = join(folder, 'file')
  await writeFile(path, bytes)
  return media.checkInput(path, ['image', 'video', 'audio'])
}

async function refusal(bytes: Buffer): Promise<string> {
  const outcome = await check(bytes)
  return outcome.ok ? 'accepted' : outcome.message
}

const samples = quarters.map((colour) => colour.slice(0, 3))
const jpeg = makeJpeg({ samples })
const png = makePng({ colourType: 2, bits: 8 }, samples)

function asFrame(marker: number, bits = 8): Buffer {
  const changed = Buffer.from(jpeg)
  const at = changed.indexOf(Buffer.from([0xff, 0xc0]))
  changed[at + 1] = marker
  changed[at + 4] = bits
  return changed
}

test('a JPEG of a coding that is not decoded is refused by the name of its coding', async () => {
  assert.match(await refusal(asFrame(0xc9)), /arithmetic-coded.*baseline or progressive/)
  assert.match(await refusal(asFrame(0xca)), /arithmetic-coded/)
  assert.match(await refusal(asFrame(0xc3)), /lossless/)
  assert.match(await refusal(asFrame(0xc5)), /hierarchical/)
  assert.match(await refusal(asFrame(0xc1, 12)), /12 bits per colour/)
})

test('a PNG without data, or with less than its size needs, is refused', async () => {
  const withData = (data: Buffer[]) => {
    const start = png.indexOf('IDAT') - 4
    return Buffer.concat([png.subarray(0, start), ...data, pngChunk('IEND', Buffer.alloc(0))])
  }
  assert.match(await refusal(withData([])), /no IDAT chunk/)
  assert.match(await refusal(withData([pngChunk('IDAT', Buffer.alloc(0))])), /data ends before/)
  assert.match(
    await refusal(withData([pngChunk('IDAT', deflateSync(Buffer.alloc(500)))])),
    /data ends before/,
  )
  const flat = Buffer.from(png)
  flat.writeUInt32BE(0, 16)
  flat.writeUInt32BE(crc32(flat.subarray(12, 29)), 29)
  assert.match(await refusal(flat), /has no pixels/)
})

test('a GIF without a frame, or with an empty or short one, is refused', async () => {
  const whole = makeGif(quarters, [{ indexes: [0, 1, 2, 3] }])
  assert.equal((await check(whole)).ok, true)
  assert.match(await refusal(makeGif(quarters, [])), /it has no frame/)
  const frame = whole.indexOf(Buffer.from([0x2c, 0, 0, 0, 0]))
  const noWidth = Buffer.from(whole)
  noWidth.writeUInt16LE(0, frame + 5)
  assert.match(await refusal(noWidth), /no pixels/)
  const short = Buffer.concat([whole.subarray(0, frame + 11), Buffer.from([3, 0, 1, 1, 0, 0x3b])])
  assert.match(await refusal(short), /first frame ends before/)
  const empty = Buffer.concat([whole.subarray(0, frame + 11), Buffer.from([0, 0x3b])])
  assert.match(await refusal(empty), /first frame ends before/)
})

test('a WebP without a frame, or whose first frame is empty or broken, is refused', async () => {
  const picture = webpChunks(await createCanvas(16, 16).encode('webp', 100)).find(
    ({ name }) => name === 'VP8L',
  )!
  const header = riffChunk('VP8X', Buffer.from([0, 0, 0, 0, 15, 0, 0, 15, 0, 0]))
  for (const chunks of [
    [header],
    [header, riffChunk('VP8L', Buffer.alloc(0))],
    [header, riffChunk('VP8L', Buffer.concat([Buffer.from([0]), picture.data.subarray(1)]))],
    [header, riffChunk('ANMF', Buffer.alloc(16))],
    [header, riffChunk('VP8 ', Buffer.alloc(20))],
  ]) {
    assert.match(await refusal(webp(chunks)), /first frame is empty or broken/)
  }
})

test('a film of a codec that is not decoded is refused by its name, and an encrypted one by its scheme', async () => {
  const film = await filmCase('H.264', { codec: 'avc' })
  const named = (name: string) => {
    const changed = Buffer.from(film.bytes)
    changed.write(name, changed.indexOf('avc1', changed.indexOf('stsd')), 'latin1')
    return changed
  }
  assert.equal((await check(film.bytes)).ok, true)
  assert.match(
    await refusal(named('mp4v')),
    /codec "mp4v" is not supported; H.264, HEVC, AV1, VP8 and VP9 are/,
  )
  for (const scheme of ['cenc', 'cbcs']) {
    const encrypted = named('encv')
    // the box of the pixels' shape, or any other that the decoder can do without, says how it is encrypted
    const at = encrypted.indexOf('colr', encrypted.indexOf('stsd'))
    encrypted.write('schm', at, 'latin1')
    encrypted.write(`\0\0\0\0${scheme}`, at + 4, 'latin1')
    assert.match(await refusal(encrypted), new RegExp(`encrypted \\(${scheme}\\)`))
  }
})

test('an MP3 is found behind zeros, tags of every size and junk', async () => {
  const sound = await mp3()
  const tag = (size: number) => {
    const header = Buffer.from('ID3\x04\0\0\0\0\0\0', 'latin1')
    for (const [index, at] of [9, 8, 7, 6].entries()) header[at] = (size >> (7 * index)) & 0x7f
    return Buffer.concat([header, Buffer.alloc(size, 0x41)])
  }
  const ape = Buffer.alloc(32 + 100)
  ape.write('APETAGEX', 0, 'latin1')
  ape.writeUInt32LE(100, 12)
  const fronts: Record<string, Buffer> = {
    zeros: Buffer.alloc(192),
    'many zeros': Buffer.alloc(20_000),
    'a tag': tag(300),
    'a large tag': tag(300_000),
    'several tags': Buffer.concat([tag(100), tag(9_000), tag(10)]),
    'a tag and zeros': Buffer.concat([tag(5_000), Buffer.alloc(6_000)]),
    'an APE tag': ape,
    words: Buffer.from('ICY 200 OK, here comes the music\r\n\r\n'),
  }
  for (const [name, front] of Object.entries(fronts)) {
    const outcome = await check(Buffer.concat([front, sound]))
    assert.deepEqual(outcome.ok && [outcome.kind, outcome.contentType], ['audio', 'audio/mpeg'], name)
    assert.ok(outcome.ok && outcome.kind === 'audio' && outcome.durationSeconds > 0.9, name)
  }
})

test('WAVE is taken in its 64-bit and extensible forms, and refused by the number of another coding', async () => {
  for (const form of ['RIFF', 'RF64', 'BW64'] as const) {
    for (const isExtensible of [false, true]) {
      const outcome = await check(wave({ form, isExtensible }))
      const heard = { ok: true, kind: 'audio', contentType: 'audio/wav', durationSeconds: 0.5 }
      assert.deepEqual(outcome, heard, `${form} ${isExtensible}`)
    }
  }
  assert.match(await refusal(wave({ form: 'RIFF', coding: 0x11 })), /coding 0x0011 is not supported; PCM/)
  assert.match(await refusal(wave({ form: 'RF64', isExtensible: true, coding: 0x55 })), /coding 0x0055/)
})
