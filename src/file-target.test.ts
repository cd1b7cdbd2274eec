import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { createCanvas } from '@napi-rs/canvas'
import { mountSmallDisk } from '../test/small-disk.ts'
import { isNoSpace } from './disk.ts'
import { openFilm } from './providers/sandbox/film.ts'

/** All of it is one write of the library that makes films. */
async function makeFilm(path: string): Promise<number> {
  const film = await openFilm({ path, width: 64, height: 64, framesPerSecond: 8, frames: 40, sound: null })
  for (let frame = 0; frame < 40; frame++) {
    const canvas = createCanvas(64, 64)
    const context = canvas.getContext('2d')
    for (let place = 0; place < 64; place++) {
      context.fillStyle = `hsl(${(place * 47 + frame * 91) % 360} 80% 50%)`
      context.fillRect((place % 8) * 8, Math.floor(place / 8) * 8, 8, 8)
    }
    await film.add(canvas, { newShot: true })
  }
  await film.finish()
  return (await stat(path)).size
}

test('a film that the full disk cuts off in its last write is an error, not a short film', async (t) => {
  const disk = await mountSmallDisk(t, 4)
  if (disk === undefined) return
  assert.ok((await makeFilm(join(disk.path, 'whole.mp4'))) > 8_192)
  await disk.fill(4_096)
  await assert.rejects(makeFilm(join(disk.path, 'cut.mp4')), isNoSpace)
})
