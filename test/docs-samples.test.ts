import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { createCanvas } from '@napi-rs/canvas'
import { createKey, keyScopes } from '../src/accounts/keys.ts'
import { createSession } from '../src/accounts/sessions.ts'
import { createUser } from '../src/accounts/users.ts'
import { setOverride } from '../src/policy/price-overrides.ts'
import { createWebhookSecret, signWebhook } from '../src/webhooks/sign.ts'
import { atEnd } from './at-end.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { seedBody, textToVideo } from './seeds.ts'
import { addEndedJobs, startReceiver } from './webhook-fixture.ts'

const run = promisify(execFile)
const has = (command: string, ...args: string[]) =>
  run(command, args).then(
    () => true,
    () => false,
  )

const database = await cloneDatabase()
const gateway = await startGateway({ databaseUrl: database.url, role: 'api', allowPrivateNetwork: true })
const customer = await makeCustomer(database.pool, { microCents: 1_000_000_000_000n })
const { userId: operatorId } = await makeCustomer(database.pool)
const operator = await createKey(database.pool, { userId: operatorId, mode: 'live', scopes: ['admin'] })
const receiver = await startReceiver()
const folder = await mkdtemp(join(tmpdir(), 'filmgate-samples-'))
atEnd(() => rm(folder, { recursive: true, force: true }))

interface Block {
  page: string
  language: string
  code: string
}

/** The code of all pages, each piece once. */
async function readBlocks(): Promise<Block[]> {
  const { body } = await gateway.call('GET', '/docs/llms-full.txt')
  const blocks = (body as string).split(/^<!-- (.*) -->$/m).slice(1)
  const found = new Map<string, Block>()
  for (let index = 0; index < blocks.length; index += 2) {
    for (const [, language, code] of blocks[index + 1]!.matchAll(/^```(\w+)[^\n]*\n(.*?)^```$/gms)) {
      if (!found.has(code!)) found.set(code!, { page: blocks[index]!, language: language!, code: code! })
    }
  }
  return [...found.values()]
}

const blocks = await readBlocks()

async function submit(): Promise<string> {
  const { body } = await gateway.call('POST', '/v1/jobs/submit', {
    key: customer.key,
    body: seedBody(textToVideo),
  })
  return body.jobId
}

/** Where the curl of the samples is, and what it is told beside them: to write each status to stderr. */
async function prepareCurl(): Promise<Record<string, string>> {
  const home = join(folder, 'home')
  await mkdir(home)
  await writeFile(join(home, '.curlrc'), 'silent\nwrite-out = "%{stderr}%{http_code}\\n"\n')
  if (await has('curl', '--version')) return { PATH: process.env.PATH!, CURL_HOME: home, HOME: home }
  const program = join(home, 'curl')
  const standIn = join(import.meta.dirname, 'curl-stand-in.ts')
  await writeFile(program, `#!/bin/sh\nexec "${process.execPath}" "${standIn}" "$@"\n`)
  await chmod(program, 0o755)
  return { PATH: `${home}:${process.env.PATH}`, HOME: home }
}

/** What the reader of a page would have by then, as the samples name it. */
async function prepareVariables(): Promise<Record<string, string>> {
  const picture = createCanvas(64, 64).toBuffer('image/png')
  await writeFile(join(folder, 'cat.png'), picture)
  const presign = { filename: 'cat.png', contentType: 'image/png' }
  const { body } = await gateway.call('POST', '/v1/uploads/presign', { key: customer.key, body: presign })
  const { uploadUrl, fileUrl, fileId } = body.data
  await gateway.call('PUT', uploadUrl, { body: picture, headers: { 'content-type': 'image/png' } })
  const { userId } = customer
  const { key, keyId } = await createKey(database.pool, { userId, mode: 'test', scopes: [...keyScopes] })
  // whom the operator's samples name
  await createUser(database.pool, { email: 'ada@example.com', concurrencyLimit: null })
  const { sessionId } = await createSession(
    database.pool,
    { keyId, sessionId: null },
    { scopes: undefined, seconds: 60 },
    new Date(),
  )
  const terms = { kind: 'percentage_discount', percentage: '1' } as const
  const override = await setOverride(database.pool, { subject: { userId }, scope: 'all', ...terms })
  return {
    FILMGATE_API_KEY: key,
    USER_ID: userId,
    SESSION_ID: sessionId,
    PRICE_OVERRIDE_ID: override.id,
    WEBHOOK_URL: receiver.url,
    UPLOAD_URL: uploadUrl,
    FILE_URL: fileUrl,
    UPLOAD_ID: fileId,
    JOB_ID: await submit(),
  }
}

/** A test key changes nothing of the operator's. */
function keyFor(code: string): { FILMGATE_API_KEY?: string } {
  return code.includes('/v1/admin/') ? { FILMGATE_API_KEY: operator.key } : {}
}

/** Most samples read a job; these change theirs, or need one that has ended. */
async function jobFor(code: string): Promise<{ JOB_ID?: string }> {
  if (code.includes('/cancel')) return { JOB_ID: await submit() }
  if (!/\/(webhook-deliveries|events|outputs)\b/.test(code)) return {}
  const [ended] = await addEndedJobs(database.pool, customer, receiver.url)
  return { JOB_ID: ended!.jobId }
}

async function inTurns<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = [...items]
  const turn = async () => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, turn))
}

test('every curl sample, run as it is printed, is answered with 200', async () => {
  const samples = blocks.filter(({ language, code }) => language === 'sh' && /^curl /m.test(code))
  const { body } = await gateway.call('GET', '/v1/catalog/models')
  assert.ok(samples.length > body.length, `only ${samples.length} samples`)
  const base = { ...(await prepareCurl()), ...(await prepareVariables()) }
  const failed: string[] = []
  await inTurns(samples, async ({ page, code }) => {
    const env = { ...base, ...keyFor(code), ...(await jobFor(code)) }
    const { stdout, stderr } = await run('sh', ['-c', code], { cwd: folder, env, maxBuffer: 8_000_000 })
    const statuses = stderr.trim().split('\n')
    const isRight =
      statuses.length === code.match(/^curl /gm)!.length && statuses.every((text) => text === '200')
    if (!isRight) failed.push(`${page}\n${code}${stderr}${stdout.slice(0, 500)}`)
  })
  assert.deepEqual(failed, [])
})

test('every TypeScript sample is well formed', () => {
  const samples = blocks.filter(({ language }) => language === 'ts')
  assert.ok(samples.length > 100)
  for (const { page, code } of samples) {
    assert.doesNotThrow(() => stripTypeScriptTypes(code), `${page}\n${code}`)
  }
})

test('every Python sample is well formed', async (context) => {
  if (!(await has('python3', '--version'))) return context.skip('there is no python3')
  const samples = blocks.filter(({ language }) => language === 'python')
  assert.ok(samples.length > 100)
  const path = join(folder, 'samples.json')
  await writeFile(path, JSON.stringify(samples))
  const program =
    'import json, sys\nfor s in json.load(open(sys.argv[1])): compile(s["code"], s["page"], "exec")'
  await run('python3', ['-c', program, path])
})

const receiverSamples = blocks.filter(({ page }) => page.endsWith('/docs/webhooks.md'))
const body = JSON.stringify({ jobId: 'job_1', status: 'completed', note: 'ünïcode' })
const secret = createWebhookSecret()

/** Signed webhooks that are genuine, and such that are not, each with what a receiver should say of it. */
function deliveries() {
  const sign = (now: Date, secrets: [string] = [secret]) =>
    signWebhook({ id: 'msg_1', body, secrets, now }) as Record<string, string>
  const genuine = sign(new Date())
  const { 'x-pixelbyte-signature': _, ...unsigned } = genuine
  return [
    { headers: genuine, body, expected: true },
    { headers: genuine, body: `${body} `, expected: false },
    { headers: sign(new Date(), [createWebhookSecret()]), body, expected: false },
    { headers: sign(new Date(Date.now() - 3_600_000)), body, expected: false },
    { headers: { ...genuine, 'x-pixelbyte-signature': 'sha256=é' }, body, expected: false },
    { headers: { ...genuine, 'x-pixelbyte-timestamp': 'NaN' }, body, expected: false },
    { headers: unsigned, body, expected: false },
    { headers: {}, body, expected: false },
  ]
}

test('the TypeScript sample tells genuine webhooks from forged, altered and old ones', async () => {
  const path = join(folder, 'verify.ts')
  await writeFile(path, receiverSamples.find(({ language }) => language === 'ts')!.code)
  const { isGenuine } = await import(path)
  for (const { headers, body, expected } of deliveries()) {
    assert.equal(isGenuine(headers, Buffer.from(body), secret), expected, JSON.stringify(headers))
  }
})

test('the Python sample tells genuine webhooks from forged, altered and old ones', async (context) => {
  if (!(await has('python3', '--version'))) return context.skip('there is no python3')
  await writeFile(
    join(folder, 'verify.py'),
    receiverSamples.find(({ language }) => language === 'python')!.code,
  )
  const given = deliveries()
  const path = join(folder, 'deliveries.json')
  await writeFile(path, JSON.stringify({ secret, deliveries: given }))
  const program = `import json, sys
from verify import is_genuine
given = json.load(open(sys.argv[1]))
print(json.dumps([is_genuine(d["headers"], d["body"].encode(), given["secret"]) for d in given["deliveries"]]))`
  const { stdout } = await run('python3', ['-c', program, path], { cwd: folder })
  assert.deepEqual(
    JSON.parse(stdout),
    given.map(({ expected }) => expected),
  )
})
