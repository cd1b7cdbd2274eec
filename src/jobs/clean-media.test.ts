import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { Media } from '../media/media.ts'
import type { InputMedia } from '../providers/provider.ts'
import { cleanMedia } from './clean-media.ts'

const film: InputMedia = {
  kind: 'video',
  path: '/nowhere',
  sourceUrl: 'https://example.com/film',
  contentType: 'video/webm',
  width: 3840,
  height: 2160,
  durationSeconds: 4,
  hasSound: false,
}

function clean(outcome: ReturnType<Media['cleanFilm']>, told: string[]) {
  const media = { cleanFilm: () => outcome } as unknown as Media
  return cleanMedia(
    { media, isReachable: true },
    {},
    { video_urls: [film, film] },
    '/folder',
    async (name) => {
      told.push(name)
    },
  )
}

test('a film that takes long to encode is told of while it does, by the name of its field, and others are not', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const made = Promise.withResolvers<Awaited<ReturnType<Media['cleanFilm']>>>()
    const told: string[] = []
    const cleaned = clean(made.promise, told)
    mock.timers.tick(9_999)
    assert.deepEqual(told, [])
    mock.timers.tick(1)
    assert.deepEqual(told, ['video_urls[0]'])
    made.resolve({ ok: true, contentType: 'video/mp4', changes: ['anew'], width: 1920, height: 1080 })
    const outcome = await cleaned
    await setImmediate()
    mock.timers.tick(60_000)
    assert.deepEqual(told, ['video_urls[0]'])
    assert.ok('media' in outcome)
    // what the upstream's limits are held against is what it gets
    const [first] = outcome.media.video_urls!
    assert.ok(first?.kind === 'video')
    assert.deepEqual([first.width, first.height, first.contentType], [1920, 1080, 'video/mp4'])
    assert.equal('sourceUrl' in first, false)
  } finally {
    mock.timers.reset()
  }
})

test('a film that can’t be made ready fails the job with the field and the reason', async () => {
  const outcome = await clean(Promise.resolve({ ok: false, message: 'It is too long.' }), [])
  assert.deepEqual(outcome, {
    failure: { code: 'INPUT_MEDIA_INVALID', message: 'video_urls[0]: It is too long.' },
  })
})
