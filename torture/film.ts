import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCanvas } from '@napi-rs/canvas'
import { openFilm } from '../src/providers/sandbox/film.ts'

function picture(order: number) {
  const canvas = createCanvas(64, 64)
  const context = canvas.getContext('2d')
  context.fillStyle = `hsl(${(order * 37) % 360} 60% 50%)`
  context.fillRect(0, 0, 64, 64)
  context.fillStyle = 'white'
  context.fillText(String(order), 4, 32)
  return canvas
}

let film: Promise<Buffer> | undefined

/** Half a second of H.264 that plays, made once. */
async function makeFilm(): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'filmgate-torture-film-'))
  try {
    const path = join(folder, 'film.mp4')
    const size = { width: 64, height: 64 }
    const output = await openFilm({ path, ...size, framesPerSecond: 8, frames: 4, sound: null })
    for (let frame = 0; frame < 4; frame++) await output.add(picture(frame), { newShot: frame === 0 })
    await output.finish()
    return await readFile(path)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A small film, another one for each order. */
export async function fileOf(order: number): Promise<Buffer> {
  film ??= makeFilm()
  // a box that players skip makes the bytes this order's own
  const note = Buffer.alloc(16)
  note.writeUInt32BE(16, 0)
  note.write('free', 4)
  note.writeDoubleBE(order, 8)
  return Buffer.concat([await film, note])
}
