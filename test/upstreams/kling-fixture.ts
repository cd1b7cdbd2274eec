import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCanvas } from '@napi-rs/canvas'
import { openFilm } from '../../src/providers/sandbox/film.ts'
import { atEnd } from '../at-end.ts'
import { type KlingOptions, type KlingServer, startKling } from './kling.ts'

/** A body, or a part of it. */
export type Fields = Record<string, unknown>
interface Told {
  status: number
  code: number
  message: string
  // biome-ignore lint/suspicious/noExplicitAny: each path has another form
  data: any
  text: string
}

/** A server that stops after the tests of the calling file. */
export async function open(options: KlingOptions = {}): Promise<KlingServer> {
  const server = await startKling(options)
  atEnd(() => server.stop())
  return server
}

/** Asks with the API key unless told otherwise; answers the envelope, its status and its text. */
export async function ask(
  server: KlingServer,
  method: string,
  path: string,
  body?: unknown,
  key = server.apiKey,
): Promise<Told> {
  const response = await fetch(server.url + path, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  return { ...JSON.parse(text), status: response.status, text }
}

/** A black picture of the size, as raw base64. */
export function drawn(width: number, height: number, type: 'png' | 'webp' = 'png'): string {
  const canvas = createCanvas(width, height)
  return (type === 'png' ? canvas.toBuffer('image/png') : canvas.toBuffer('image/webp')).toString('base64')
}

/** A black film. */
export async function filmed(
  width: number,
  height: number,
  framesPerSecond: number,
  frames: number,
): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'filmgate-kling-film-'))
  try {
    const path = join(folder, 'film.mp4')
    const film = await openFilm({ path, width, height, framesPerSecond, frames, sound: null })
    for (let frame = 0; frame < frames; frame++)
      await film.add(createCanvas(width, height), { newShot: frame === 0 })
    await film.finish()
    return await readFile(path)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A picture that every path takes. */
export const png = drawn(320, 320)
/** A film's first picture, as the new standard takes it. */
export const first = { type: 'first_frame', url: png }

/** Sends bodies that break a rule; all must be refused as invalid, and nothing come of them. */
export async function refuses(server: KlingServer, path: string, bodies: unknown[]): Promise<void> {
  const before = server.tasks.size
  for (const body of bodies) {
    const { status, code, data } = await ask(server, 'POST', path, body)
    assert.deepEqual(
      { status, code, data },
      { status: 400, code: 1201, data: undefined },
      `${path} ${JSON.stringify(body).slice(0, 300)}`,
    )
  }
  assert.equal(server.tasks.size, before)
}

/** Sends bodies that break no rule. */
export async function takes(server: KlingServer, path: string, bodies: unknown[]): Promise<void> {
  for (const body of bodies) {
    const { status, message } = await ask(server, 'POST', path, body)
    assert.equal(status, 200, `${path} ${JSON.stringify(body).slice(0, 300)}: ${message}`)
  }
}

/** Makes an element; answers its digits as they stand in the answer. */
export async function makeElement(server: KlingServer, more: Fields = {}): Promise<string> {
  const path = '/v1/general/advanced-custom-elements'
  const made = await ask(server, 'POST', path, {
    element_name: 'Zhang',
    element_description: 'a keeper of a lighthouse',
    reference_type: 'image_refer',
    element_image_list: { frontal_image: png, refer_images: [{ image_url: png }] },
    ...more,
  })
  const { text } = await ask(server, 'GET', `${path}/${made.data.task_id}`)
  return /"element_id":(\d+)/.exec(text)![1]!
}
