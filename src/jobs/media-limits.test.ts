import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InputMedia } from '../providers/provider.ts'
import { outsideLimits } from './media-limits.ts'

const picture = (width: number, height: number, contentType = 'image/png'): InputMedia => ({
  kind: 'image',
  path: '/x',
  contentType,
  width,
  height,
})
const film = (durationSeconds: number): InputMedia => ({
  kind: 'video',
  path: '/x',
  contentType: 'video/mp4',
  width: 640,
  height: 360,
  durationSeconds,
  hasSound: false,
})

test('a picture is held to the size that its field asks for, of whatever type it is', () => {
  const limits = { minPixels: 300 }
  assert.equal(outsideLimits(picture(300, 300), limits), undefined)
  assert.equal(outsideLimits(picture(300, 300, 'image/heic'), limits), undefined)
  const message = 'The picture is 900 × 299; each side must have at least 300 pixels.'
  assert.equal(outsideLimits(picture(900, 299), limits), message)
})

test('a film is held to the length that its field asks for, with room for its last frame', () => {
  const limits = { minSeconds: 3, maxSeconds: 30 }
  for (const seconds of [2.92, 3, 10, 30, 30.08])
    assert.equal(outsideLimits(film(seconds), limits), undefined)
  assert.equal(outsideLimits(film(2.5), limits), 'The file is 2.5 seconds long; it must be at least 3.')
  assert.equal(outsideLimits(film(31), limits), 'The file is 31 seconds long; it may be at most 30.')
})

test('sound has a length and no size', () => {
  const sound: InputMedia = { kind: 'audio', path: '/x', contentType: 'audio/mpeg', durationSeconds: 12 }
  assert.equal(outsideLimits(sound, { minPixels: 300 }), undefined)
  assert.equal(outsideLimits(sound, { maxSeconds: 10 }), 'The file is 12 seconds long; it may be at most 10.')
})
