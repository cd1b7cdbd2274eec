import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createCanvas } from '@napi-rs/canvas'
import { startOf } from '../src/media/films/play.ts'
import { openMedia, picturesAt } from '../src/media/frames.ts'
import { decodePicture } from '../src/media/pictures/decode.ts'
import { differences } from './oracle/compare.ts'
import { filmCases } from './oracle/films.ts'
import { pictureCases } from './oracle/pictures.ts'

const folder = await mkdtemp(join(tmpdir(), 'filmgate-oracle-'))
after(() => rm(folder, { recursive: true }))

test('200 pictures of every kind are decoded upright and in the colours they were made of', async () => {
  const cases = await pictureCases()
  assert.ok(cases.length >= 200, `${cases.length}`)
  const wrong: string[] = []
  for (const expected of cases) {
    const found = await decodePicture(expected.bytes, 1_000_000)
    if (!found.ok) {
      wrong.push(`${expected.name}: ${found.message}`)
      continue
    }
    const canvas = createCanvas(found.width, found.height)
    canvas.getContext('2d').drawImage(found.picture, 0, 0)
    wrong.push(...differences(expected, canvas))
  }
  assert.deepEqual(wrong, [])
})

test('50 films of every kind are shown upright and in the colours they were made of', async () => {
  const cases = await filmCases()
  assert.ok(cases.length >= 50, `${cases.length}`)
  const wrong: string[] = []
  for (const expected of cases) {
    const path = join(folder, `film.${expected.extension}`)
    await writeFile(path, expected.bytes)
    try {
      using input = openMedia(path)
      const track = await input.getPrimaryVideoTrack()
      for await (const picture of picturesAt(track!, [await startOf(track!)])) {
        wrong.push(...differences(expected, picture))
      }
    } catch (error) {
      wrong.push(`${expected.name}: ${error}`)
    }
  }
  assert.deepEqual(wrong, [])
})
