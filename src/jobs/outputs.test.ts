import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, type TestContext, test } from 'node:test'
import { createCanvas } from '@napi-rs/canvas'
import { createMedia } from '../media/media.ts'
import { createOutbound } from '../outbound.ts'
import type { ProviderOutput } from '../providers/provider.ts'
import { createLocalStorage } from '../storage/local.ts'
import { type Storage, StorageError } from '../storage/storage.ts'
import { type OutputLimits, OutputUnavailable, storeOutputs } from './outputs.ts'

const directory = await mkdtemp(join(tmpdir(), 'filmgate-outputs-'))
const temporaryDirectory = join(directory, 'tmp')
await mkdir(temporaryDirectory)
const storage = await createLocalStorage({ directory: join(directory, 'storage') })
const outbound = createOutbound({ allowPrivate: true })
const media = createMedia()
after(async () => {
  await Promise.all([outbound.close(), media.close()])
  await rm(directory, { recursive: true })
})

const pictures = [10, 20, 30, 40].map((width) => createCanvas(width, 10).toBuffer('image/png'))
const bytesOfAll = pictures.reduce((sum, { length }) => sum + length, 0)
const sendPicture: RequestListener = ({ url }, answer) => answer.end(pictures[Number(url?.slice(1))])

/** Stores the outputs at these paths of a server, each named as a picture unless told otherwise. */
async function setUp(t: TestContext, listener: RequestListener) {
  const server = createServer(listener)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(async () => {
    server.closeAllConnections()
    server.close()
    assert.deepEqual(await readdir(temporaryDirectory), [], 'a temporary file is left')
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const store = (
    paths: string[],
    options: Partial<OutputLimits> & { type?: ProviderOutput['type']; storage?: Storage } = {},
  ) => {
    const { type = 'image', storage: store = storage, ...limits } = options
    const outputs = paths.map((path) => ({ type, source: { url: `${origin}${path}` } }))
    const context = { outbound, media, temporaryDirectory, storage: store }
    return storeOutputs(context, 'job_1', outputs, {
      maxBytes: 10_000_000,
      atOnce: 2,
      downloadMs: 600_000,
      patience: { retries: 1, pauseMs: 1, silenceMs: 20_000 },
      ...limits,
    })
  }
  return { origin, store }
}

/** Of what is wrong with the outputs themselves: their provider is asked for them again. */
function unavailable(message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof OutputUnavailable, String(error))
    assert.match(error.message, message)
    return true
  }
}

test('outputs are stored in their order, with the length and hash of what was downloaded', async (t) => {
  const { store } = await setUp(t, sendPicture)
  const stored = await store(['/0', '/1', '/2', '/3'])
  const facts = stored.map(({ key, width, bytes, sha256 }) => [key, width, bytes, sha256])
  assert.deepEqual(
    facts,
    pictures.map((picture, position) => [
      `outputs/job_1/${position}.png`,
      (position + 1) * 10,
      picture.length,
      createHash('sha256').update(picture).digest('hex'),
    ]),
  )
  for (const [position, { key, thumbnailKey }] of stored.entries()) {
    assert.ok(pictures[position]!.equals(await buffer((await storage.open(key))!.stream)))
    assert.ok(await storage.stat(thumbnailKey!))
  }
})

test('an output whose transfer breaks off is stored whole', async (t) => {
  let requests = 0
  const [picture] = pictures
  const { store } = await setUp(t, (_, answer) => {
    requests += 1
    if (requests > 1) return answer.end(picture)
    answer.writeHead(200, { 'content-length': picture!.length })
    return answer.write(picture!.subarray(0, 30), () => answer.destroy())
  })
  const [stored] = await store(['/'])
  assert.equal(stored!.bytes, picture!.length)
})

test('no more outputs are copied at the same time than allowed', async (t) => {
  const held: (() => void)[] = []
  const two = Promise.withResolvers<void>()
  let isOpen = false
  const { origin, store } = await setUp(t, (incoming, answer) => {
    if (isOpen || incoming.url === '/ping') return sendPicture(incoming, answer)
    held.push(() => sendPicture(incoming, answer))
    if (held.length === 2) two.resolve()
  })
  const storing = store(['/0', '/1', '/2', '/3'], { atOnce: 2 })
  await two.promise
  // others that were sent with these two would have arrived before
  for (let round = 0; round < 3; round += 1) await (await fetch(`${origin}/ping`)).arrayBuffer()
  assert.equal(held.length, 2)
  isOpen = true
  for (const answer of held) answer()
  assert.equal((await storing).length, 4)
})

test('the cap holds for all outputs of a job together, copied at once or in turn', async (t) => {
  const { store } = await setUp(t, sendPicture)
  const paths = ['/0', '/1', '/2', '/3']
  for (const atOnce of [1, 4]) {
    const tooMuch = store(paths, { atOnce, maxBytes: bytesOfAll - 1 })
    await assert.rejects(tooMuch, unavailable(/^The outputs are larger than \d+ bytes together\.$/))
    assert.equal((await store(paths, { atOnce, maxBytes: bytesOfAll })).length, 4)
  }
})

test('an output that is gone or refused is unavailable, and ends the copying of the others', async (t) => {
  for (const status of [403, 404, 410]) {
    const isAsked = Promise.withResolvers<void>()
    const { store } = await setUp(t, async (incoming, answer) => {
      // the first never ends by itself
      if (incoming.url === '/0') return isAsked.resolve()
      await isAsked.promise
      answer.writeHead(status).end()
    })
    await assert.rejects(
      store(['/0', '/1', '/2']),
      unavailable(new RegExp(`^The server answered ${status}\\.$`)),
    )
  }
})

test('a file that is not what the provider named, or no media at all, is unavailable', async (t) => {
  const { store } = await setUp(t, (incoming, answer) => {
    if (incoming.url === '/text') answer.end('<html>Sorry</html>')
    else sendPicture(incoming, answer)
  })
  const named = /^the provider named a file of type video, and it is image\/png$/
  await assert.rejects(store(['/0'], { type: 'video' }), unavailable(named))
  await assert.rejects(store(['/text']), unavailable(/^The file is no media file\.$/))
})

test('a storage that fails, or recorded other bytes than were downloaded, is our own fault', async (t) => {
  const { store } = await setUp(t, sendPicture)
  const lies = [{ bytes: 1 }, { sha256: '0'.repeat(64) }]
  for (const lie of lies) {
    const lying: Storage = { ...storage, put: async (...all) => ({ ...(await storage.put(...all)), ...lie }) }
    await assert.rejects(store(['/0'], { storage: lying }), (error) => {
      assert.ok(error instanceof Error && !(error instanceof OutputUnavailable))
      assert.match(error.message, /^the storage took other bytes as outputs\/job_1\/0\.png/)
      return true
    })
  }
  const full = new StorageError('NO_SPACE', 'the disk is full')
  const failing: Storage = { ...storage, put: () => Promise.reject(full) }
  await assert.rejects(store(['/0', '/1'], { storage: failing }), full)
})

test('a result without outputs, or whose file of our own is gone, is unavailable', async () => {
  const context = { outbound, media, temporaryDirectory, storage }
  await assert.rejects(storeOutputs(context, 'job_1', []), unavailable(/named no output/))
  const gone: ProviderOutput = { type: 'image', source: { key: 'sandbox/gone.png' } }
  await assert.rejects(storeOutputs(context, 'job_1', [gone]), unavailable(/not there/))
})
