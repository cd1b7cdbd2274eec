import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createCanvas } from '@napi-rs/canvas'
import type { InputMedia, SubmitContext } from '../src/providers/provider.ts'
import { openFilm } from '../src/providers/sandbox/film.ts'
import { inFolder } from '../src/providers/sandbox/fixture.ts'

type Of<Kind> = Extract<InputMedia, { kind: Kind }>

/** Files as customers send them: real ones on disk, which `publish` serves on loopback. */
export interface CustomerFiles {
  picture(size?: { width: number; height: number }): Promise<Of<'image'>>
  /** Five seconds of 1280 × 720, whatever else is said of it. */
  film(said?: {
    durationSeconds?: number
    width?: number
    height?: number
    contentType?: string
  }): Promise<Of<'video'>>
  sound(): Promise<Of<'audio'>>
  publish: SubmitContext['publish']
}

const types: Record<string, string> = { png: 'image/png', mp4: 'video/mp4', wav: 'audio/wav' }

/** Runs with files in a folder of its own. */
export async function withCustomerFiles(run: (files: CustomerFiles) => Promise<void>): Promise<void> {
  await inFolder(async (folder) => {
    const server = createServer((request, response) => {
      const name = (request.url ?? '').slice(1)
      const type = types[name.split('.').at(-1) ?? ''] ?? 'application/octet-stream'
      readFile(join(folder, name)).then(
        (bytes) => response.writeHead(200, { 'content-type': type }).end(bytes),
        () => response.writeHead(404).end(),
      )
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const urlOf = (path: string) => `${url}/${path.slice(folder.length + 1)}`
    const keep = async (name: string, bytes: Buffer) => {
      const path = join(folder, name)
      await writeFile(path, bytes)
      return { path, sourceUrl: urlOf(path) }
    }
    try {
      await run({
        async picture({ width, height } = { width: 640, height: 360 }) {
          const file = await keep(`picture-${width}x${height}.png`, pictureOf(width, height))
          return { kind: 'image', contentType: 'image/png', width, height, ...file }
        },
        async film(said = {}) {
          filmed ??= makeFilm()
          const file = await keep('film.mp4', await filmed)
          const shape = { width: 1280, height: 720, durationSeconds: 5, contentType: 'video/mp4' }
          return { kind: 'video', hasSound: true, ...shape, ...said, ...file }
        },
        async sound() {
          const file = await keep('sound.wav', Buffer.from('RIFF\u0024\0\0\0WAVEfmt '))
          return { kind: 'audio', contentType: 'audio/wav', durationSeconds: 6, ...file }
        },
        publish: async ({ path }) => urlOf(path),
      })
    } finally {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  })
}

let filmed: Promise<Buffer> | undefined

/** Made once. */
async function makeFilm(): Promise<Buffer> {
  let bytes: Buffer = Buffer.alloc(0)
  await inFolder(async (folder) => {
    const size = { width: 1280, height: 720 }
    const canvas = createCanvas(size.width, size.height)
    const path = join(folder, 'film.mp4')
    const output = await openFilm({ path, ...size, framesPerSecond: 24, frames: 120, sound: null })
    for (let frame = 0; frame < 120; frame += 1) await output.add(canvas, { newShot: frame === 0 })
    await output.finish()
    bytes = await readFile(path)
  })
  return bytes
}

const pictures = new Map<string, Buffer>()

function pictureOf(width: number, height: number): Buffer {
  const key = `${width}x${height}`
  const bytes = pictures.get(key) ?? createCanvas(width, height).toBuffer('image/png')
  pictures.set(key, bytes)
  return bytes
}
