import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { createCanvas } from '@napi-rs/canvas'
import { writePlanes } from '../../media/films/planes.ts'
import type { Json } from '../provider.ts'
import { openFilm } from './film.ts'
import { filmRequestOf, inFolder, inspectFilm } from './fixture.ts'
import { renderFilm } from './render.ts'

function requestFor(input: Record<string, Json>) {
  return filmRequestOf({ resolution: '480p', ...input })
}

test('a film has exactly the asked frames, size and tracks, and its index in front', async () => {
  await inFolder(async (directory) => {
    const path = join(directory, 'film.mp4')
    const request = requestFor({ prompt: 'Sea', duration: '2', aspect_ratio: '9:16', has_sound: 'true' })
    assert.equal(await renderFilm(request, [], path, () => false), true)
    const facts = await inspectFilm(path)
    assert.equal(facts.frames, 48)
    assert.equal(facts.videoSeconds, 2)
    assert.deepEqual([facts.width, facts.height], [480, 854])
    assert.equal(facts.matrix, 'bt709')
    assert.ok(facts.boxes.indexOf('moov') < facts.boxes.indexOf('mdat'), facts.boxes.join())
    assert.ok(Math.abs(facts.audioSeconds! - 2) <= 1024 / 48_000, String(facts.audioSeconds))
  })
})

test('a film without sound has no sound track', async () => {
  await inFolder(async (directory) => {
    const path = join(directory, 'film.mp4')
    await renderFilm(requestFor({ prompt: 'Sea', duration: 1 }), [], path, () => false)
    assert.equal((await inspectFilm(path)).audioSeconds, null)
  })
})

test('the sound is quiet, never clips, has no offset, and starts and ends in silence', async () => {
  await inFolder(async (directory) => {
    const path = join(directory, 'film.mp4')
    const request = requestFor({ prompt: 'Rain on the sea at night', duration: 3, has_sound: true })
    await renderFilm(request, [], path, () => false)
    const { samples } = await inspectFilm(path)
    const left = samples.subarray(0, samples.length / 2)
    const peak = left.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0)
    const power = Math.sqrt(left.reduce((sum, sample) => sum + sample * sample, 0) / left.length)
    const offset = left.reduce((sum, sample) => sum + sample, 0) / left.length
    const largestStep = left.reduce(
      (most, sample, at) => Math.max(most, Math.abs(sample - (left[at - 1] ?? 0))),
      0,
    )
    assert.ok(peak > 0.02 && peak < 0.4, `peak ${peak}`)
    assert.ok(power > 0.005 && power < 0.1, `power ${power}`)
    assert.ok(Math.abs(offset) < 0.001, `offset ${offset}`)
    assert.ok(largestStep < 0.1, `step ${largestStep}`)
    assert.ok(Math.abs(left[0]!) < 0.001 && Math.abs(left.at(-1)!) < 0.001)
  })
})

test('a second decoder plays the film to its end', async (context) => {
  const run = promisify(execFile)
  try {
    await run('ffmpeg', ['-version'])
  } catch {
    context.skip('ffmpeg is not installed')
    return
  }
  await inFolder(async (directory) => {
    const path = join(directory, 'film.mp4')
    await renderFilm(requestFor({ prompt: 'Sea', duration: 1, has_sound: true }), [], path, () => false)
    const { stderr } = await run('ffmpeg', ['-v', 'warning', '-xerror', '-i', path, '-f', 'null', '-'])
    assert.equal(stderr, '')
  })
})

test('each shot starts with a key frame, where the shot before it ends', async () => {
  await inFolder(async (directory) => {
    const path = join(directory, 'film.mp4')
    const multishot = [
      { prompt: 'Mountains', duration: 1 },
      { prompt: 'The sea', duration: 2 },
    ]
    await renderFilm(requestFor({ prompt: 'Trip', duration: 1, multishot }), [], path, () => false)
    const { frames, keyFrames } = await inspectFilm(path)
    assert.equal(frames, 24)
    assert.deepEqual(keyFrames, [0, 8])
  })
})

test('colours keep their values on the way into the film', () => {
  const canvas = createCanvas(4, 2)
  const context = canvas.getContext('2d')
  const expected = {
    '#000000': [16, 128, 128],
    '#ffffff': [235, 128, 128],
    '#ff0000': [63, 102, 240],
    '#0000ff': [32, 240, 118],
  }
  for (const [color, [y, u, v]] of Object.entries(expected)) {
    context.fillStyle = color
    context.fillRect(0, 0, 4, 2)
    const planes = new Uint8Array(12)
    writePlanes(canvas.data(), 4, 2, planes)
    for (const [index, value] of [...Array(8).fill(y), u, u, v, v].entries()) {
      assert.ok(Math.abs(planes[index]! - value) <= 1, `${color}: ${planes.join()}`)
    }
  }
})

test('a film that cannot be written says so instead of waiting', async () => {
  await assert.rejects(async () => {
    const film = await openFilm({
      path: '/nonexistent/film.mp4',
      width: 64,
      height: 64,
      framesPerSecond: 24,
      frames: 1,
      sound: null,
    })
    await film.add(createCanvas(64, 64), { newShot: true })
    await film.finish()
  })
})
