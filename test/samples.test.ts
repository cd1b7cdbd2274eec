import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { samplesFolder, sampleTypes } from '../src/samples/samples.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'

const database = await cloneDatabase()
// private addresses are refused: a sample must not be fetched through the network
const gateway = await startGateway({ databaseUrl: database.url })
const customer = await makeCustomer(database.pool, { microCents: 1_000_000_000n })
const { body: everyPage } = await gateway.call('GET', '/docs/llms-full.txt')

/** The request that the page of a model prints for curl. */
async function printedRequest(model: string): Promise<{ model: string; input: Record<string, unknown> }> {
  const { body } = await gateway.call('GET', `/docs/models/${model}.md`)
  const printed = /-d '(\{.*?\n {2}\})'/s.exec(body as string)
  assert.ok(printed, `no curl on the page of ${model}`)
  return JSON.parse(printed[1]!.replaceAll("'\\''", "'"))
}

test('every file that a sample names is served by this server, without a key', async () => {
  const named = new Set(
    [...(everyPage as string).matchAll(/https?:\/\/[^\s"'`)]+/g)]
      .map(([address]) => address)
      .filter((address) => /\.(jpe?g|png|webp|gif|mp4|webm|mp3|wav)$/.test(address)),
  )
  const paths = [...named].filter((address) => address.startsWith(`${gateway.url}/samples/`))
  assert.deepEqual(
    [...named].filter((address) => address.startsWith('https://example.com')),
    [],
  )
  assert.equal(paths.length, Object.keys(sampleTypes).length)
  for (const path of paths) {
    const { status, headers } = await gateway.call('HEAD', path)
    assert.equal(status, 200, path)
    assert.ok(Number(headers.get('content-length')) > 1_000, path)
  }
})

test('a sample file has its type, validators and ranges', async () => {
  const address = `${gateway.url}/samples/video.mp4`
  const whole = await fetch(address)
  assert.equal(whole.headers.get('content-type'), 'video/mp4')
  assert.deepEqual(Buffer.from(await whole.arrayBuffer()), await readFile(join(samplesFolder, 'video.mp4')))
  const part = await fetch(address, { headers: { range: 'bytes=4-7' } })
  assert.equal(part.status, 206)
  assert.equal(await part.text(), 'ftyp')
  const headers = { 'if-none-match': whole.headers.get('etag')!, 'cache-control': 'max-age=0' }
  const again = await fetch(address, { headers })
  assert.equal(again.status, 304)
})

test('no other file of the folder or of the machine is served as a sample', async () => {
  assert.deepEqual((await readdir(samplesFolder)).toSorted(), Object.keys(sampleTypes).toSorted())
  for (const name of ['nothing.jpg', '__proto__', '..%2fsamples.ts', '%2e%2e%2f%2e%2e%2fmain.ts', '']) {
    const { status } = await gateway.call('GET', `/samples/${name}`)
    assert.equal(status, 404, name)
  }
})

const printed = [
  'bytedance/seedance-2.0-fast/omni-reference',
  'kling/kling-motion-create-v3/motion-transfer-to-video',
]

test('requests that name pictures, a film and a sound are rendered as they are printed', async () => {
  const render = async (model: string) => {
    const answer = await gateway.call('POST', '/v1/jobs/submit', {
      key: customer.key,
      body: await printedRequest(model),
    })
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
    const job = await gateway.ended(answer.body.jobId, customer.key)
    assert.equal(job.status, 'completed', JSON.stringify(job.error))
  }
  await Promise.all(printed.map(render))
})
