import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkInput } from './check-input.ts'
import { loadCatalogue } from './load.ts'

const { models } = loadCatalogue()
const textToVideo = models.get('kling-plus/kling-o3-standard/text-to-video')!.versions[0]!
const issuesOf = (input: unknown) => checkInput(textToVideo, input).issues

test('an input that is right has no issues, and the caller keeps the object that it gave', () => {
  const given = { prompt: 'x', duration: 10 }
  const { input, issues } = checkInput(textToVideo, given)
  assert.deepEqual(issues, [])
  assert.deepEqual(given, { prompt: 'x', duration: 10 })
  assert.deepEqual(input, {
    prompt: 'x',
    duration: '10',
    aspect_ratio: '16:9',
    has_sound: 'false',
    shot_type: 'customize',
  })
})

test('shots must sum to the duration where each has one, and leave room for those that have none', () => {
  const shots = (...durations: (number | string | undefined)[]) => ({
    prompt: 'x',
    duration: 8,
    multishot: durations.map((duration) => ({ prompt: 'y', ...(duration !== undefined && { duration }) })),
  })
  assert.deepEqual(issuesOf(shots(3, 5)), [])
  assert.deepEqual(issuesOf(shots('3', '5')), [])
  assert.deepEqual(issuesOf(shots(3, undefined)), [])
  assert.deepEqual(issuesOf(shots(3, 4)), [
    {
      path: 'input.multishot',
      message: 'has durations that sum to 7, but duration is 8: make them equal',
    },
  ])
  for (const [durations, sum] of [
    [[3, undefined, 6], 9],
    [[8, undefined], 8],
  ] as const) {
    const message = `has durations that sum to ${sum}, but duration is 8: leave some for the others`
    assert.deepEqual(issuesOf(shots(...durations)), [{ path: 'input.multishot', message }])
  }
  // the default counts where the video's own is not given
  assert.deepEqual(issuesOf({ prompt: 'x', multishot: [{ prompt: 'y', duration: 5 }] }), [])
})

test('text that the database cannot hold is named where it stands', () => {
  const message = 'must not contain U+0000 or half of a surrogate pair'
  assert.deepEqual(issuesOf({ prompt: 'a\0b' }), [{ path: 'input.prompt', message }])
  assert.deepEqual(issuesOf({ prompt: 'a', multishot: [{ prompt: 'b' }, { prompt: '\ud83d' }] }), [
    { path: 'input.multishot[1].prompt', message },
  ])
  assert.deepEqual(issuesOf({ prompt: '🎬' }), [])
})

test('a number that would lose digits is refused', () => {
  const seeded = models.get('google/veo-3.1-fast/text-to-video')!.versions[0]!
  const issuesOf = (seed: unknown) => checkInput(seeded, { prompt: 'x', seed }).issues
  assert.deepEqual(issuesOf(Number.MAX_SAFE_INTEGER), [])
  for (const seed of [2 ** 53, -(2 ** 53), 1e300]) assert.equal(issuesOf(seed)[0]?.path, 'input.seed')
})

test('an input that is nested half a million levels deep is refused, and quickly', () => {
  const deep = JSON.parse(`${'['.repeat(500_000)}${']'.repeat(500_000)}`)
  assert.deepEqual(
    issuesOf({ prompt: deep }).map((issue) => issue.message),
    ['must be string, not array'],
  )
})

test('fields named like parts of every object are unknown fields, and change no object', () => {
  const input = JSON.parse(
    '{"prompt":"x","__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"toString":"y"}',
  )
  assert.deepEqual(
    issuesOf(input).map((issue) => issue.path),
    ['input.__proto__', 'input.constructor', 'input.toString'],
  )
  const shots = JSON.parse('{"prompt":"x","multishot":[{"prompt":"y","__proto__":{"duration":3}}]}')
  assert.deepEqual(
    issuesOf(shots).map((issue) => issue.path),
    ['input.multishot[0].__proto__'],
  )
  assert.equal(({} as { polluted?: boolean }).polluted, undefined)
})
