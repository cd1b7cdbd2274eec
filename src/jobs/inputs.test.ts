import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createCanvas } from '@napi-rs/canvas'
import type { MediaField } from '../catalogue/load.ts'
import { maxInputBytes } from '../media/image.ts'
import { createMedia } from '../media/media.ts'
import { createOutbound } from '../outbound.ts'
import type { Json } from '../providers/provider.ts'
import { createLocalStorage } from '../storage/local.ts'
import { fetchInputs } from './inputs.ts'

const directory = await mkdtemp(join(tmpdir(), 'filmgate-inputs-'))
const server = createServer((incoming, answer) => {
  if (incoming.url === '/never') return
  if (incoming.url === '/text') return answer.end('no picture')
  if (incoming.url === '/long') {
    answer.writeHead(200, { 'content-length': 11_000_000 })
    return answer.write('x', () => answer.destroy())
  }
  return answer.end(createCanvas(Number(incoming.url?.slice(1)), 10).toBuffer('image/png'))
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
const outbound = createOutbound({ allowPrivate: true })
const media = createMedia()
const storage = await createLocalStorage({ directory: join(directory, 'storage') })
after(async () => {
  await Promise.all([outbound.close(), media.close()])
  server.closeAllConnections()
  server.close()
  await rm(directory, { recursive: true })
})

function fetchFrom(mediaFields: MediaField[], input: Record<string, Json>, timeLimitMs?: number) {
  const context = { outbound, media, storage, ownFile: () => undefined, sampleFile: () => undefined }
  const options = { folder: directory, jobCreatedAt: new Date(), ...(timeLimitMs && { timeLimitMs }) }
  return fetchInputs(context, { mediaFields }, input, options)
}

test('files are fetched from fields at any depth, in the order of the input', async () => {
  const fields: MediaField[] = [
    { field: 'image_url', media: 'image' },
    { field: 'elements.images', media: 'image' },
    { field: 'clips', media: 'any' },
    { field: 'absent', media: 'video' },
  ]
  const url = (width: number) => `${origin}/${width}`
  const elements = [{ images: [url(2), url(3)] }, { name: 'without' }, { images: [url(4)] }]
  const outcome = await fetchFrom(fields, { image_url: url(1), elements, clips: [url(5)] })
  assert.ok('media' in outcome)
  const widths = Object.entries(outcome.media).map(([field, files]) => [
    field,
    files.map((file) => file.kind === 'image' && file.width),
  ])
  assert.deepEqual(widths, [
    ['image_url', [1]],
    ['elements.images', [2, 3, 4]],
    ['clips', [5]],
    ['absent', []],
  ])
  const last = outcome.media['elements.images']![2]!
  assert.deepEqual(await readFile(last.path), createCanvas(4, 10).toBuffer('image/png'))
})

test('what is wrong with a file is told with the place of its URL in the input', async () => {
  const fields: MediaField[] = [{ field: 'elements.images', media: 'image' }]
  const elements = [{ images: [`${origin}/1`] }, { images: [`${origin}/1`, `${origin}/text`] }]
  const message =
    'elements[1].images[1]: The file is not a picture (JPEG, PNG, WebP, GIF, AVIF, HEIC, HEIF, BMP or TIFF).'
  assert.deepEqual(await fetchFrom(fields, { elements }), {
    failure: { code: 'INPUT_MEDIA_INVALID', message },
  })
})

test('a file may weigh what an upload of its kind may', async () => {
  const tooLarge = await fetchFrom([{ field: 'picture', media: 'image' }], { picture: `${origin}/long` })
  const message = `picture: The file is larger than ${maxInputBytes.image} bytes.`
  assert.deepEqual(tooLarge, { failure: { code: 'INPUT_MEDIA_INVALID', message } })
  const film = await fetchFrom([{ field: 'film', media: 'video' }], { film: `${origin}/long` })
  assert.equal('failure' in film && film.failure.code, 'INPUT_MEDIA_UNREACHABLE')
})

test('the files of a job have one time limit together, which a silent server does not stretch', async () => {
  const outcome = await fetchFrom([{ field: 'picture', media: 'image' }], { picture: `${origin}/never` }, 50)
  const message = 'picture: The server did not answer in time.'
  assert.deepEqual(outcome, { failure: { code: 'INPUT_MEDIA_UNREACHABLE', message } })
})

test('a file that the limits of its field leave out is refused', async () => {
  const outcome = await fetchFrom([{ field: 'picture', media: 'image', limits: { minPixels: 300 } }], {
    picture: `${origin}/400`,
  })
  const message = 'picture: The picture is 400 × 10; each side must have at least 300 pixels.'
  assert.deepEqual(outcome, { failure: { code: 'INPUT_MEDIA_INVALID', message } })
})
