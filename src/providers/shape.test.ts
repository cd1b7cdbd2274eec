import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InputMedia } from './provider.ts'
import { shapeRefusal } from './shape.ts'

const picture = (width: number, height: number): InputMedia => ({
  kind: 'image',
  path: '/nowhere',
  contentType: 'image/png',
  width,
  height,
})

test('a picture of another shape than the one that was asked for is refused by name, one within a tenth of it is not', () => {
  const refusal = shapeRefusal({
    input: { aspect_ratio: '9:16' },
    media: { start_frame_url: [picture(1920, 1080)] },
  })
  assert.equal(refusal?.code, 'INPUT_MEDIA_INVALID')
  assert.equal(refusal?.elsewhere, undefined)
  assert.match(refusal!.message, /^start_frame_url: .*1920 × 1080.*9:16: crop/)
  for (const close of [picture(1080, 1920), picture(1080, 1800)]) {
    assert.equal(shapeRefusal({ input: { aspect_ratio: '9:16' }, media: { image_url: [close] } }), undefined)
  }
})

test('the shape that is filled in by itself, or none, is no wish, and references are no first picture', () => {
  for (const input of [{}, { aspect_ratio: '16:9' }]) {
    assert.equal(shapeRefusal({ input, media: { image_url: [picture(500, 900)] } }), undefined)
  }
  const images = [picture(900, 500)]
  assert.equal(shapeRefusal({ input: { aspect_ratio: '9:16' }, media: { images } }), undefined)
})
