import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '../provider.ts'
import { type RenderRequest, readRenderRequest } from './request.ts'

function read(input: Record<string, Json>): RenderRequest {
  const reading = readRenderRequest({ input: { prompt: 'Sea', ...input }, media: {} })
  assert.ok('request' in reading, JSON.stringify(reading))
  return reading.request
}

function framesOf(input: Record<string, Json>): number[] {
  return read(input).shots.map((shot) => shot.frames)
}

test('the frame has the asked shape, 720 or 1080 on its short side, and even sides', () => {
  const sizes: [Record<string, Json>, [number, number]][] = [
    [{}, [1280, 720]],
    [{ aspect_ratio: '9:16' }, [720, 1280]],
    [{ aspect_ratio: '1:1', quality: 'pro' }, [1080, 1080]],
    [{ aspect_ratio: '16:9', quality: 'pro' }, [1920, 1080]],
    [{ aspect_ratio: '4:3', resolution: '720p' }, [960, 720]],
    [{ aspect_ratio: '21:9', resolution: '1080p' }, [2520, 1080]],
    [{ aspect_ratio: '2:3' }, [720, 1080]],
    [{ resolution: '4k' }, [1920, 1080]],
  ]
  for (const [input, size] of sizes) {
    const { width, height } = read(input)
    assert.deepEqual([width, height], size, JSON.stringify(input))
  }
})

test('a duration is taken as text or number, and is 5 seconds where it is missing', () => {
  assert.deepEqual(framesOf({}), [120])
  assert.deepEqual(framesOf({ duration: '10' }), [240])
  assert.deepEqual(framesOf({ duration: 3 }), [72])
})

test('shots share the length exactly, whatever their durations say', () => {
  const shots = (...durations: (number | null)[]): Json =>
    durations.map((duration) => (duration === null ? { prompt: 'x' } : { prompt: 'x', duration }))
  assert.deepEqual(framesOf({ duration: 5, multishot: shots(2, 3) }), [48, 72])
  assert.deepEqual(framesOf({ duration: 6, multishot: shots(1, 1, 1) }), [48, 48, 48])
  assert.deepEqual(framesOf({ duration: 6, multishot: shots(null, null) }), [72, 72])
  assert.deepEqual(framesOf({ duration: 6, multishot: shots(2, null, 2) }), [48, 48, 48])
  for (const durations of [
    [1, 1, 1, 1, 1, 1, 1],
    [0.01, 15, 0.01],
    [3, 5, 7],
  ]) {
    const frames = framesOf({ duration: 5, multishot: shots(...durations) })
    assert.equal(
      frames.reduce((sum, count) => sum + count, 0),
      120,
    )
    assert.ok(frames.every((count) => count >= 1))
  }
})

test('the same prompt gives the same seed, another prompt another one, and a given seed counts', () => {
  assert.equal(read({}).seed, read({}).seed)
  assert.notEqual(read({}).seed, read({ prompt: 'Sky' }).seed)
  assert.equal(read({ seed: 7 }).seed, 7)
  assert.equal(read({ seed: -1 }).seed, read({}).seed)
})

test('sound is on for true as text or boolean', () => {
  assert.equal(read({ has_sound: 'true' }).hasSound, true)
  assert.equal(read({ has_sound: true }).hasSound, true)
  assert.equal(read({ has_sound: 'false' }).hasSound, false)
  assert.equal(read({}).hasSound, false)
})

test('the first picture is found in whichever field the model takes it', () => {
  const file = (path: string) => ({
    path,
    contentType: 'image/png',
    kind: 'image' as const,
    width: 1,
    height: 1,
  })
  const media = { end_frame_url: [file('b')], start_frame_url: [file('a')] }
  const reading = readRenderRequest({ input: {}, media })
  assert.ok('request' in reading)
  assert.equal(reading.picture?.path, 'a')
  assert.equal(reading.request.hasPicture, true)
})

test('what cannot be rendered is named', () => {
  const problems: [Record<string, Json>, RegExp][] = [
    [{ duration: 'long' }, /duration/],
    [{ duration: 0 }, /duration/],
    [{ duration: 3600 }, /duration/],
    [{ aspect_ratio: 'wide' }, /aspect_ratio/],
    [{ aspect_ratio: '100:1' }, /aspect_ratio/],
    [{ multishot: 'two' }, /multishot/],
  ]
  for (const [input, named] of problems) {
    const reading = readRenderRequest({ input, media: {} })
    assert.ok('problem' in reading)
    assert.match(reading.problem, named)
  }
})
