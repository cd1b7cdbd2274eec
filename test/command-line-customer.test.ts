import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { decodeEveryFrame } from '../src/media/frames.ts'
import { atEnd } from './at-end.ts'
import { balanceOf, cloneDatabase, ledgerProblems, makeCustomer, transfersOf } from './database.ts'
import { startGateway } from './gateway.ts'
import { imageToVideo, textToVideo } from './seeds.ts'

const binary = join(import.meta.dirname, '../bin/filmgate.js')
const database = await cloneDatabase()
const gateway = await startGateway({ databaseUrl: database.url, allowPrivateNetwork: true })
const customer = await makeCustomer(database.pool)
const folder = await mkdtemp(join(tmpdir(), 'filmgate-customer-'))
atEnd(() => rm(folder, { recursive: true, force: true }))

interface Outcome {
  code: number | null
  stdout: string
  stderr: string
}

type Environment = Record<string, string>

/** Starts the real binary, in `folder`, with no setting but these. */
function start(args: string[], environment: Environment = {}): ChildProcess {
  const env = { PATH: process.env.PATH, FILMGATE_URL: gateway.url, FILMGATE_API_KEY: customer.key }
  return spawn(process.execPath, [binary, ...args], {
    cwd: folder,
    env: { ...env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function filmgate(args: string[], environment?: Environment): Promise<Outcome> {
  const child = start(args, environment)
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    once(child, 'exit'),
  ])
  assert.ok(!`${stdout}${stderr}`.includes(customer.key), 'the key is shown')
  assert.doesNotMatch(stderr, /^ {4}at /m, 'a stack trace is shown')
  return { code, stdout, stderr }
}

/** The one JSON document that a command printed. */
async function json(args: string[], environment?: Environment) {
  const { code, stdout, stderr } = await filmgate([...args, '--json'], environment)
  assert.equal(code, 0, stderr)
  assert.equal(stdout.trimEnd().split('\n').length, 1, stdout)
  return JSON.parse(stdout)
}

/** Fails with exit code 1 and nothing on stdout; answers the lines on stderr. */
async function fails(args: string[], environment?: Environment): Promise<string[]> {
  const { code, stdout, stderr } = await filmgate(args, environment)
  assert.deepEqual([code, stdout], [1, ''], stderr)
  return stderr.trimEnd().split('\n')
}

/** Fails in one line. */
async function refuses(args: string[], message: RegExp, environment?: Environment): Promise<void> {
  const lines = await fails(args, environment)
  assert.equal(lines.length, 1, lines.join('\n'))
  assert.match(lines[0]!, message)
}

const jobsOf = async (userId: string): Promise<number> => {
  const { rows } = await database.pool.query(
    `select count(*)::int as jobs from jobs join accounts on accounts.id = jobs.account_id
     where accounts.user_id = $1`,
    [userId],
  )
  return rows[0].jobs
}

/** A server of the test's own, for what the real one does only by misfortune. */
async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`
}

const png = await readFile(join(import.meta.dirname, '../docs/images/demo.png'))
await writeFile(join(folder, 'picture.png'), png)

// Writes down what is loaded.
const watchLoading = `data:text/javascript,${encodeURIComponent(`
  import { appendFileSync } from 'node:fs'
  import { registerHooks } from 'node:module'
  registerHooks({ load(url, context, next) { appendFileSync(process.env.LOADED, url + '\\n'); return next(url, context) } })
`)}`

for (const command of ['models', 'estimate', 'submit']) {
  test(`${command} has help with an example, and starts without the server`, async () => {
    const loaded = join(folder, `${command}.loaded`)
    const { code, stdout, stderr } = await filmgate([command, '--help'], {
      FILMGATE_API_KEY: '',
      LOADED: loaded,
      NODE_OPTIONS: `--import=${watchLoading}`,
    })
    assert.deepEqual([code, stderr], [0, ''])
    assert.ok(stdout.startsWith(`Usage: filmgate ${command} `), stdout)
    assert.match(stdout, new RegExp(`Examples?:\n {2}filmgate ${command} `))
    assert.match(stdout, /--json/)
    const modules = await readFile(loaded, 'utf8')
    assert.match(modules, new RegExp(`/src/cli/${command}\\.ts$`, 'm'))
    assert.doesNotMatch(modules, /\/src\/(serve|database|db|http|queue|storage|media|providers)\b/)
    assert.doesNotMatch(modules, /\/node_modules\/(pg|fastify|graphile-worker|undici|@napi-rs|mediabunny)\//)
  })
}

test('models lists what GET /v1/models answers, filtered', async () => {
  const { body } = await gateway.call('GET', '/v1/models', { key: customer.key })
  const one = body.models.filter((model: { slug: string }) => model.slug === imageToVideo)
  assert.equal(one.length, 1)
  const [all, byProvider, byCapability, bySearch, none, human] = await Promise.all([
    json(['models']),
    json(['models', '--provider', 'kling']),
    json(['models', '--capability', 'image-to-video', '--provider', 'kling']),
    json(['models', '--search', 'OMNI-o1/image']),
    filmgate(['models', '--search', 'no such thing']),
    filmgate(['models']),
  ])
  assert.deepEqual(all, body)
  const ofProvider = (model: { providerId: string }) => model.providerId === 'kling'
  assert.deepEqual(byProvider.models, body.models.filter(ofProvider))
  assert.ok(byProvider.models.length < body.models.length)
  const ofCapability = (model: { capability: string }) => model.capability === 'image-to-video'
  assert.deepEqual(byCapability.models, body.models.filter(ofProvider).filter(ofCapability))
  assert.deepEqual(bySearch.models, one)
  assert.deepEqual([none.code, none.stdout], [0, 'no model matches\n'])
  assert.match(
    human.stdout,
    new RegExp(`^${imageToVideo} +Kling O1 +image-to-video +\\$0\\.07 per second$`, 'm'),
  )
})

test('estimate prices what it is given, as the API does', async () => {
  const [estimate, human] = await Promise.all([
    json(['estimate', imageToVideo, 'duration=10', 'quality=pro']),
    filmgate(['estimate', imageToVideo, 'duration=10', 'quality=pro']),
  ])
  const { body } = await gateway.call('POST', '/v1/jobs/estimate', {
    key: customer.key,
    body: { model: imageToVideo, input: { duration: '10', quality: 'pro' } },
  })
  assert.deepEqual(estimate, body)
  assert.equal(estimate.estimatedCostMicroCents, 1_050_000)
  assert.match(human.stdout, /^duration +10 +× 10 +\$0\.63$/m)
  assert.match(human.stdout, /^total +\$1\.05$/m)
})

test('submit answers as the API does, with every option of the request', async () => {
  const own = await makeCustomer(database.pool)
  const args = ['submit', textToVideo, 'prompt=[sandbox:pending 600] x', 'duration=3', '--max-cost', '252000']
  const [submitted, human] = await Promise.all([
    json(
      [...args, '--version', 'v1.0', '--metadata', 'order=a=1', '--metadata', 'for=me'].concat(
        '--webhook',
        `${gateway.url}/hook`,
      ),
      { FILMGATE_API_KEY: own.key },
    ),
    filmgate(args, { FILMGATE_API_KEY: own.key }),
  ])
  assert.deepEqual(Object.keys(submitted).sort(), [
    'costMicroCents',
    'estimatedCompletionTime',
    'jobId',
    'requestId',
    'status',
  ])
  const { body } = await gateway.call('GET', `/v1/jobs/${submitted.jobId}`, { key: own.key })
  assert.deepEqual(
    [body.model, body.costMicroCents, body.metadata, body.webhookStatus],
    [textToVideo, 252_000, { order: 'a=1', for: 'me' }, 'pending'],
  )
  assert.equal(human.code, 0)
  assert.match(human.stdout, /^job +job_\w+\ncost +\$0\.252\nexpected +\d{4}-/)
})

test('a local picture becomes a film that is downloaded whole', async () => {
  const args = ['submit', imageToVideo, 'prompt=zoom in', '--image', 'picture.png', '--out', 'film.mp4']
  const { code, stdout, stderr } = await filmgate([...args, '--json'])
  assert.equal(code, 0, stderr)
  const { files, ...job } = JSON.parse(stdout)
  const { body } = await gateway.call('GET', `/v1/jobs/${job.jobId}`, { key: customer.key })
  assert.deepEqual(Object.keys(job), Object.keys(body))
  assert.deepEqual([job.status, job.costMicroCents, files], ['completed', 350_000, ['film.mp4']])
  assert.match(stderr, new RegExp(`^${job.jobId}  p(end|rocess)ing  [\\d.]+ s\n`))
  assert.match(stderr, new RegExp(`^${job.jobId}  completed  [\\d.]+ s\n$`, 'm'))
  const film = await readFile(join(folder, 'film.mp4'))
  assert.deepEqual(film, Buffer.from(await (await fetch(body.output)).arrayBuffer()))
  const decoded = await decodeEveryFrame(join(folder, 'film.mp4'))
  assert.ok(decoded.ok && decoded.videoFrames > 100, JSON.stringify(decoded))
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.endsWith('.part')),
    [],
    'a part of the file was left behind',
  )
})

test('a model that takes a list of pictures is given a list of one', async () => {
  const args = ['submit', 'alibaba-plus/wan-2.7/image-to-image', 'prompt=[sandbox:pending 600] x']
  const { jobId } = await json([...args, '--image', 'picture.png'])
  const { rows } = await database.pool.query('select input from jobs where id = $1', [jobId])
  const [url, ...others] = rows[0].input.image_urls
  assert.deepEqual(others, [])
  assert.deepEqual(Buffer.from(await (await fetch(url)).arrayBuffer()), png)
})

test('an answer that is lost on the way is asked for again, and the job charged once', async () => {
  const own = await makeCustomer(database.pool)
  let submits = 0
  const url = await serve(async (request, response) => {
    const { method = '', url = '', headers } = request
    const body = await text(request)
    submits++
    const key = headers['idempotency-key']
    const answer = await gateway.call(method, url, {
      key: own.key,
      body,
      headers: { 'idempotency-key': String(key) },
    })
    if (submits === 1) return request.socket.destroy()
    response.writeHead(answer.status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer.body))
  })
  const args = ['submit', textToVideo, 'prompt=[sandbox:pending 600] x']
  const submitted = await json(args, { FILMGATE_URL: url, FILMGATE_API_KEY: own.key })
  assert.equal(submits, 2)
  assert.equal(await jobsOf(own.userId), 1)
  assert.deepEqual(await transfersOf(database.pool, submitted.jobId), { charges: 1, refunds: 0 })
  assert.equal(await balanceOf(database.pool, own.accountId), 10_000_000n - 420_000n)
  assert.deepEqual(await ledgerProblems(database.pool), [])
})

test('the same idempotency key gives the same job, and each command has one of its own', async () => {
  const own = await makeCustomer(database.pool)
  const args = ['submit', textToVideo, 'prompt=[sandbox:pending 600] x']
  const environment = { FILMGATE_API_KEY: own.key }
  const [first, again, other] = await Promise.all([
    json([...args, '--idempotency-key', 'mine'], environment),
    json([...args, '--idempotency-key', 'mine'], environment),
    json(args, environment),
  ])
  assert.equal(again.jobId, first.jobId)
  assert.notEqual(other.jobId, first.jobId)
  assert.equal(await jobsOf(own.userId), 2)
})

test('a server that is busy is asked again as it says, and not for ever', async () => {
  const keys: unknown[] = []
  const url = await serve((request, response) => {
    keys.push(request.headers['idempotency-key'])
    response.writeHead(429, { 'retry-after': '0' })
    const error = { code: 'CONCURRENT_JOBS_EXCEEDED', message: 'Too many.' }
    response.end(JSON.stringify({ success: false, error }))
  })
  const args = ['submit', textToVideo, 'prompt=x', '--idempotency-key', 'mine']
  await refuses(args, /^filmgate: CONCURRENT_JOBS_EXCEEDED: Too many\.; .* --idempotency-key mine$/, {
    FILMGATE_URL: url,
  })
  assert.deepEqual(keys, ['mine', 'mine', 'mine', 'mine'])
})

test('of several outputs each has its file, numbered from the second', async () => {
  const url = await serve((request, response) => {
    const path = request.url ?? ''
    const output = (name: string) => ({ url: `http://${request.headers.host}/${name}`, type: 'image' })
    if (path.startsWith('/v1/jobs/'))
      response.end(
        JSON.stringify({
          jobId: 'job_1',
          status: 'completed',
          estimatedCompletionTime: new Date().toISOString(),
          costMicroCents: 5,
          outputs: [output('a'), output('b'), output('c')],
        }),
      )
    else response.end(`bytes of ${path}`)
  })
  const out = join(folder, 'several.v1.png')
  const { files } = await json(['submit', 'a/b/c', '--out', out], { FILMGATE_URL: url })
  assert.deepEqual(files, [out, join(folder, 'several.v1-2.png'), join(folder, 'several.v1-3.png')])
  const contents = await Promise.all(files.map((file: string) => readFile(file, 'utf8')))
  assert.deepEqual(contents, ['bytes of /a', 'bytes of /b', 'bytes of /c'])
})

test('a file that comes cut off leaves what was there, and no part of itself', async () => {
  let downloads = 0
  const url = await serve((request, response) => {
    const outputs = [{ url: `http://${request.headers.host}/a`, type: 'video' }]
    if (request.url?.startsWith('/v1/jobs/'))
      return response.end(JSON.stringify({ jobId: 'job_1', status: 'completed', costMicroCents: 5, outputs }))
    downloads++
    response.writeHead(200, { 'content-length': '1000' })
    response.write('half', () => request.socket.destroy())
  })
  await writeFile(join(folder, 'cut.mp4'), 'whole')
  const lines = await fails(['submit', 'a/b/c', '--out', 'cut.mp4', '--force'], { FILMGATE_URL: url })
  assert.match(lines.join('\n'), /gives no answer .*\njob_1 can be looked at with: curl /)
  assert.equal(downloads, 4)
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.includes('cut')),
    ['cut.mp4'],
  )
  assert.equal(await readFile(join(folder, 'cut.mp4'), 'utf8'), 'whole')
})

test('a file that is there is written over only with --force, and is looked for before anything is charged', async () => {
  const own = await makeCustomer(database.pool)
  await writeFile(join(folder, 'mine.mp4'), 'mine')
  const args = ['submit', textToVideo, 'prompt=[sandbox:fail GENERATION_FAILED]', '--out']
  const environment = { FILMGATE_API_KEY: own.key }
  await Promise.all([
    refuses([...args, 'mine.mp4'], /^filmgate: mine\.mp4 exists: .*--force/, environment),
    refuses([...args, '.'], /is a folder/, environment),
    refuses([...args, 'nowhere/film.mp4'], /nowhere\/film\.mp4 cannot be written/, environment),
  ])
  assert.equal(await jobsOf(own.userId), 0)
  const forced = await fails([...args, 'mine.mp4', '--force'], environment)
  assert.match(forced.join('\n'), /GENERATION_FAILED/)
  assert.equal(await readFile(join(folder, 'mine.mp4'), 'utf8'), 'mine', 'a failed job wrote over it')
})

test('a job that fails ends with its code and message, and exit code 1', async () => {
  const args = ['submit', textToVideo, 'prompt=[sandbox:fail CONTENT_POLICY_VIOLATION]', '--wait']
  const [human, document] = await Promise.all([filmgate(args), filmgate([...args, '--json'])])
  assert.deepEqual([human.code, human.stdout, document.code], [1, '', 1])
  const last = human.stderr.trimEnd().split('\n').at(-1)!
  assert.match(last, /^filmgate: CONTENT_POLICY_VIOLATION: .*refunded.* \(job_\w+\)$/)
  const job = JSON.parse(document.stdout)
  assert.deepEqual([job.status, job.error.code], ['failed', 'CONTENT_POLICY_VIOLATION'])
})

test('Ctrl-C while waiting says which job goes on and how to look at it', async () => {
  const child = start(['submit', textToVideo, 'prompt=[sandbox:pending 600] x', '--wait'])
  const stdout = text(child.stdout!)
  let stderr = ''
  child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
    if (stderr === '') child.kill('SIGINT')
    stderr += chunk
  })
  const [code] = await once(child, 'close')
  assert.deepEqual([code, await stdout], [130, ''])
  const [, jobId] = /^(job_\w+) {2}pending/.exec(stderr) ?? []
  assert.ok(jobId !== undefined, stderr)
  assert.ok(
    stderr.endsWith(`curl -H "Authorization: Bearer $FILMGATE_API_KEY" ${gateway.url}/v1/jobs/${jobId}\n`),
  )
  const { body } = await gateway.call('GET', `/v1/jobs/${jobId}`, { key: customer.key })
  assert.equal(body.status, 'pending')
})

test('on a terminal there is a bar, and Ctrl-C typed there says the same', async (t) => {
  const script = '/usr/bin/script'
  if (process.platform !== 'linux' || !existsSync(script)) return t.skip('there is no pseudo terminal')
  const command = `stty rows 40 cols 120; exec "$NODE" "$BINARY" submit ${textToVideo} 'prompt=[sandbox:pending 600] x' --wait`
  const child = spawn(script, ['-qec', command, '/dev/null'], {
    env: {
      PATH: process.env.PATH,
      SHELL: '/bin/sh',
      NODE: process.execPath,
      BINARY: binary,
      FILMGATE_URL: gateway.url,
      FILMGATE_API_KEY: customer.key,
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let shown = ''
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    if (!shown.includes('pending') && chunk.includes('pending')) child.stdin!.write('\x03')
    shown += chunk
  })
  const [code] = await once(child, 'close')
  assert.equal(code, 130, shown)
  assert.match(shown, /job_\w+ █*░+ pending +\d+\.\d s/)
  assert.match(shown, /The job goes on\. job_\w+ can be looked at with: curl /)
})

test('what the API refuses is told with its code, and each of several issues in a line of its own', async () => {
  const [poor, narrow, blind] = await Promise.all([
    makeCustomer(database.pool, { microCents: 1_000n }),
    makeCustomer(database.pool, { scopes: ['list_models'] }),
    makeCustomer(database.pool, { scopes: ['submit_job'] }),
  ])
  const valid = ['submit', textToVideo, 'prompt=x']
  const [lines, unseen] = await Promise.all([
    fails(['submit', imageToVideo, 'duration=7', 'quality=best']),
    fails(['submit', textToVideo, 'prompt=[sandbox:pending 600] x', '--wait'], {
      FILMGATE_API_KEY: blind.key,
    }),
    refuses(['submit', 'kling/nothing/text-to-video', 'prompt=x'], /^filmgate: MODEL_NOT_FOUND: /),
    refuses(['estimate', 'nonsense'], /^filmgate: INVALID_MODEL_SLUG: /),
    refuses([...valid, '--version', 'v9.0'], /^filmgate: MODEL_VERSION_NOT_FOUND: /),
    refuses([...valid, '--max-cost', '419999'], /^filmgate: COST_LIMIT_EXCEEDED: /),
    refuses(valid, /^filmgate: INSUFFICIENT_BALANCE: /, { FILMGATE_API_KEY: poor.key }),
    refuses(valid, /^filmgate: OPERATION_NOT_ALLOWED: .*submit_job/, { FILMGATE_API_KEY: narrow.key }),
    refuses(valid, /^filmgate: INVALID_API_KEY: /, { FILMGATE_API_KEY: 'pb_test_wrong' }),
  ])
  assert.match(lines[0]!, /^filmgate: INVALID_INPUT: /)
  assert.match(unseen[0]!, /^filmgate: OPERATION_NOT_ALLOWED: .*check_status/)
  assert.match(unseen[1]!, /^job_\w+ can be looked at with: curl /, 'a job that was paid for is not named')
  assert.deepEqual(
    lines
      .slice(1)
      .map((line) => line.split(':')[0])
      .sort(),
    ['  input.duration', '  input.image_url', '  input.prompt', '  input.quality'],
  )
})

test('a file that cannot be taken is refused before it is sent', async () => {
  const own = await makeCustomer(database.pool)
  await Promise.all([
    writeFile(join(folder, 'large.png'), Buffer.concat([png, Buffer.alloc(10_485_760)])),
    writeFile(join(folder, 'words.png'), 'no picture at all'),
  ])
  const submit = ['submit', imageToVideo, 'prompt=x']
  const environment = { FILMGATE_API_KEY: own.key }
  await Promise.all([
    refuses([...submit, 'image_url=@large.png'], /large\.png has .* at most 10,485,760/, environment),
    refuses(
      [...submit, 'image_url=@words.png'],
      /words\.png is of no type that can be uploaded/,
      environment,
    ),
    refuses([...submit, 'image_url=@absent.png'], /absent\.png cannot be read: no such file/, environment),
    refuses([...submit, 'image_url=@.'], /\. is not a file/, environment),
    refuses(
      ['submit', textToVideo, 'prompt=x', '--image', 'picture.png'],
      /has no picture field; its fields are prompt, aspect_ratio, duration/,
      environment,
    ),
  ])
  assert.equal(await jobsOf(own.userId), 0)
  const { rows } = await database.pool.query(
    "select count(*)::int as stored from uploads where user_id = $1 and status = 'stored'",
    [own.userId],
  )
  assert.equal(rows[0].stored, 0)
})

test('a missing or wrong setting is named in one line that says what is right', async () => {
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as { port: number }
  closed.close()
  await Promise.all([
    refuses(['models'], /^filmgate: FILMGATE_API_KEY is not set: .*filmgate key create/, {
      FILMGATE_API_KEY: '',
    }),
    refuses(['models'], /^filmgate: FILMGATE_API_KEY holds spaces/, {
      FILMGATE_API_KEY: `${customer.key}\nx`,
    }),
    refuses(
      ['models'],
      /^filmgate: FILMGATE_URL: http:\/\/127\.0\.0\.1:\d+ gives no answer \(.*ECONNREFUSED/,
      {
        FILMGATE_URL: `http://127.0.0.1:${port}`,
      },
    ),
    refuses(['models'], /^filmgate: FILMGATE_URL is not the address of a server: write it like/, {
      FILMGATE_URL: '127.0.0.1:8787',
    }),
    refuses(['models'], /^filmgate: FILMGATE_URL: http:.* does not answer as filmgate does/, {
      FILMGATE_URL: await serve((_request, response) => void response.end('<h1>hello</h1>')),
    }),
  ])
})

test('a server that sends elsewhere is not followed with the key', async () => {
  let asked = 0
  const elsewhere = await serve((_request, response) => {
    asked++
    response.end('{"models":[]}')
  })
  const url = await serve((_request, response) => void response.writeHead(307, { location: elsewhere }).end())
  await refuses(['models'], /FILMGATE_URL: .*redirect/, { FILMGATE_URL: url })
  assert.equal(asked, 0)
})

test('what is not understood exits 2 and says what is wrong', async () => {
  const misunderstood = async (args: string[], message: RegExp) => {
    const { code, stdout, stderr } = await filmgate(args)
    assert.deepEqual([code, stdout], [2, ''], stderr)
    assert.match(stderr, message)
  }
  await Promise.all([
    misunderstood(['submit'], /missing required argument 'model'/),
    misunderstood(['submit', textToVideo, 'prompt'], /field=value/),
    misunderstood(['submit', textToVideo, 'shots:=[{'], /not valid JSON/),
    misunderstood(['submit', textToVideo, '--max-cost', '1.5'], /whole number of micro-cents/),
    misunderstood(['submit', textToVideo, '--metadata', 'x'], /name=value/),
    misunderstood(['estimate', imageToVideo, 'image_url=@cat.png'], /uploads no file/),
    misunderstood(['models', '--what'], /unknown option '--what'/),
  ])
})
