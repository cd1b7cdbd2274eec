import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import {
  FlacOutputFormat,
  Mp3OutputFormat,
  Mp4OutputFormat,
  type OutputFormat,
  type Rotation,
  WavOutputFormat,
} from 'mediabunny'
import { dirtyFilm, withTags } from '../../test/dirty-files.ts'
import { filmCase } from '../../test/oracle/films.ts'
import { type Quarters, quarters, shown } from '../../test/oracle/scene.ts'
import { mp3 } from '../../test/oracle/sounds.ts'
import { cleanFilmHere } from './clean-film.ts'
import { openMedia, picturesAt } from './frames.ts'
import { createMedia } from './media.ts'
import type { MediaType } from './types.ts'

const folder = await mkdtemp(join(tmpdir(), 'filmgate-films-'))
after(() => rm(folder, { recursive: true }))
let files = 0

async function clean(bytes: Buffer, found: MediaType, types: MediaType[] = ['video/mp4']) {
  const path = join(folder, `${++files}`)
  await writeFile(path, bytes)
  const outcome = await cleanFilmHere(path, { target: `${path}-made`, types, found })
  return { path, target: `${path}-made`, outcome }
}

/** What is seen of a film's first frame. */
async function firstFrame(path: string) {
  using input = openMedia(path)
  const track = (await input.getPrimaryVideoTrack())!
  for await (const canvas of picturesAt(track, [0])) {
    const { width, height } = canvas
    const context = canvas.getContext('2d')
    const seen = [1, 3].flatMap((row) =>
      [1, 3].map((column) => [...context.getImageData((column * width) / 4, (row * height) / 4, 1, 1).data]),
    )
    return { width, height, seen, codec: await track.getCodec(), space: await track.getColorSpace() }
  }
  throw new Error('no frame')
}

function assertSeen(found: number[][], wanted: Quarters, tolerance: number, name: string) {
  for (const [index, colour] of wanted.entries()) {
    const off = Math.max(...colour.map((value, at) => Math.abs(value - found[index]![at]!)))
    assert.ok(off <= tolerance, `${name}: quarter ${index} is ${found[index]}, not ${colour}`)
  }
}

/** By rotation clockwise, and then mirrored or not, as EXIF counts. */
const turns: [Rotation, plain: number, mirrored: number][] = [
  [0, 1, 2],
  [90, 6, 5],
  [180, 3, 4],
  [270, 8, 7],
]

test('a MOV that becomes an MP4 is shown as before, however it is turned and mirrored', async () => {
  for (const [rotation, plain, mirrored] of turns) {
    for (const flip of [false, true]) {
      const { bytes } = await filmCase('turned', { codec: 'avc', rotation, flip })
      bytes.write('qt  ', 8, 'latin1')
      const { target, outcome } = await clean(bytes, 'video/quicktime')
      assert.deepEqual(outcome, { ok: true, contentType: 'video/mp4', changes: ['copied without metadata'] })
      const frame = await firstFrame(target)
      const wanted = shown(flip ? mirrored : plain)
      assert.deepEqual([frame.width, frame.height], [wanted.width, wanted.height])
      assertSeen(frame.seen, wanted.quarters, 8, `${rotation} ${flip}`)
    }
  }
})

test('a film that is encoded anew is upright by its pixels, however it was turned and mirrored', async () => {
  for (const [rotation, plain, mirrored] of turns) {
    for (const flip of [false, true]) {
      const { bytes } = await filmCase('turned', {
        codec: 'av1',
        matrix: 'bt709',
        isTagged: true,
        rotation,
        flip,
      })
      bytes.write('qt  ', 8, 'latin1')
      const { target, outcome } = await clean(bytes, 'video/quicktime')
      const wanted = shown(flip ? mirrored : plain)
      const { width, height } = wanted
      const changes = ['the picture encoded anew']
      assert.deepEqual(outcome, { ok: true, contentType: 'video/mp4', changes, width, height })
      const frame = await firstFrame(target)
      assert.deepEqual([frame.width, frame.height, frame.codec], [width, height, 'avc'])
      assertSeen(frame.seen, wanted.quarters, 12, `${rotation} ${flip}`)
    }
  }
})

test('a film that is transparent is encoded anew over black, as its poster shows it', async () => {
  const alphas = [255, 128, 64, 0]
  const wanted = quarters.map((colour, index) =>
    colour.map((value, part) => (part === 3 ? 255 : (value * alphas[index]!) / 255)),
  ) as unknown as Quarters
  for (const codec of ['vp8', 'vp9'] as const) {
    const { bytes } = await filmCase('veiled', { codec, alphas, matrix: 'smpte170m' })
    const { path, target, outcome } = await clean(bytes, 'video/webm')
    assert.equal(outcome.ok && outcome.contentType, 'video/mp4')
    assertSeen((await firstFrame(path)).seen, wanted, 12, `${codec} before`)
    assertSeen((await firstFrame(target)).seen, wanted, 12, `${codec} after`)
  }
})

test('a film in HDR becomes one of BT.709 with the colours that its poster shows, where its type could stay, too', async () => {
  for (const [transfer, number] of [
    ['pq', 16],
    ['hlg', 18],
  ] as const) {
    const { bytes } = await filmCase(transfer, { codec: 'hevc', matrix: 'bt2020-ncl', isTagged: true })
    // primaries, transfer and matrix
    const at = bytes.indexOf('nclx') + 4
    for (const [index, value] of [9, number, 9].entries()) bytes.writeUInt16BE(value, at + 2 * index)
    const { path, target, outcome } = await clean(bytes, 'video/mp4')
    const changes = ['the picture encoded anew', 'HDR made SDR']
    assert.deepEqual(outcome.ok && outcome.changes, changes)
    const [before, made] = [await firstFrame(path), await firstFrame(target)]
    assert.equal(made.space.transfer, 'bt709')
    assertSeen(made.seen, before.seen as unknown as Quarters, 12, transfer)
    assert.notDeepEqual(before.seen[3], quarters[3])
  }
})

test('a film above full HD that is encoded anew is scaled down, with its colours', async () => {
  const size = { width: 2720, height: 1536 }
  const { bytes } = await filmCase('large', { codec: 'vp9', matrix: 'bt709', isTagged: true, size })
  const { target, outcome } = await clean(bytes, 'video/webm')
  assert.ok(outcome.ok && outcome.width! * outcome.height! <= 1930 * 1080, JSON.stringify(outcome))
  const frame = await firstFrame(target)
  assert.deepEqual([frame.width, frame.height], [outcome.width, outcome.height])
  assertSeen(frame.seen, quarters, 12, 'large')
})

test('a film that has to be encoded is left to the thread that may, and made there', async () => {
  const { bytes } = await filmCase('plain', { codec: 'vp8', matrix: 'smpte170m' })
  const path = join(folder, 'apart')
  await writeFile(path, bytes)
  const options = { target: `${path}-made`, types: ['video/mp4'], found: 'video/webm' as const }
  const outcome = await cleanFilmHere(path, { ...options, mayEncode: false })
  assert.equal(!outcome.ok && outcome.takesLong, true)
  const media = createMedia()
  try {
    const made = await media.cleanFilm({ path, contentType: 'video/webm' }, `${path}-made`, ['video/mp4'])
    assert.deepEqual(made.ok && made.changes, ['the picture encoded anew'])
  } finally {
    await media.close()
  }
})

test('a film that is too long to be encoded anew is refused with the reason and what to give instead', async () => {
  const { bytes } = await filmCase('long', { codec: 'vp8', matrix: 'smpte170m' })
  const path = join(folder, 'long')
  await writeFile(path, bytes)
  const options = { target: `${path}-made`, types: ['video/mp4'], found: 'video/webm' as const }
  const outcome = await cleanFilmHere(path, { ...options, mostMegapixels: 0.1 })
  assert.deepEqual(outcome, {
    ok: false,
    message:
      'It would have to be encoded anew, and is too long for that at 128 × 64: give a shorter or smaller film, or one in MP4 with H.264 in SDR.',
  })
})

const untold = /SECRET|WEBVTT|\x89PNG/

for (const container of ['mp4', 'mov'] as const) {
  test(`a film of ${container} loses place, device, tags and the track of positions, and keeps its frames`, async () => {
    const plain = await filmCase('plain', { codec: 'avc' })
    const bytes = await dirtyFilm(plain.bytes, container)
    assert.match(bytes.toString('latin1'), untold)
    const found = container === 'mp4' ? 'video/mp4' : 'video/quicktime'
    for (const types of [['video/mp4'], ['video/mp4', 'video/quicktime']] as MediaType[][]) {
      const { target, outcome, path } = await clean(bytes, found, types)
      assert.ok(outcome.ok, JSON.stringify(outcome))
      assert.doesNotMatch((await readFile(target)).toString('latin1'), untold)
      // the customer's own stays as it was
      assert.deepEqual(await readFile(path), bytes)
      const { seen } = await firstFrame(target)
      assertSeen(seen, quarters, 12, `${container} to ${outcome.contentType}`)
    }
  })
}

const sounds: [MediaType, OutputFormat][] = [
  ['audio/mpeg', new Mp3OutputFormat()],
  ['audio/wav', new WavOutputFormat()],
  ['audio/mp4', new Mp4OutputFormat()],
  ['audio/flac', new FlacOutputFormat()],
]

for (const [type, format] of sounds) {
  test(`a sound of ${type} loses its tags and pictures, kept as it is or made into another type`, async () => {
    const bytes = await withTags(Buffer.concat([await mp3(), await mp3(), await mp3()]), format)
    assert.match(bytes.toString('latin1'), untold)
    for (const types of [[type], ['audio/wav']] as MediaType[][]) {
      const { target, outcome } = await clean(bytes, type, types)
      assert.ok(outcome.ok, `${type} to ${types}: ${JSON.stringify(outcome)}`)
      assert.equal(outcome.contentType, types[0])
      assert.doesNotMatch((await readFile(target)).toString('latin1'), untold)
      using input = openMedia(target)
      const seconds = await input.computeDuration()
      assert.ok(seconds > 2.9 && seconds < 3.2, `${type} to ${types}: ${seconds} s`)
    }
  })
}

test('a film whose boxes lie about their lengths is refused, or loses what it tells', async () => {
  const plain = await filmCase('plain', { codec: 'avc' })
  const whole = await dirtyFilm(plain.bytes, 'mov')
  for (const name of ['moov', 'udta', 'trak', 'meta', 'hdlr', 'stco']) {
    for (const length of [0, 1, 7, 9, 0x7fffffff, 0xffffffff]) {
      const bytes = Buffer.from(whole)
      const at = bytes.indexOf(name, 0, 'latin1')
      if (at < 4) continue
      bytes.writeUInt32BE(length, at - 4)
      const { target, outcome } = await clean(bytes, 'video/quicktime')
      if (outcome.ok)
        assert.doesNotMatch((await readFile(target)).toString('latin1'), untold, `${name} ${length}`)
    }
  }
})
