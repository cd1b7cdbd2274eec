import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createOutbound, type Outbound } from '../outbound.ts'
import { type Download, downloadMedia } from './download.ts'

/** Breaks the connection off once the client has the file up to this byte: not before, or it would lose what is under way. */
type BreakOff = (atByte: number) => void
/** What the server does with one request. */
type Step = (answer: ServerResponse, request: IncomingMessage, breakOff: BreakOff) => void

/** A server that follows the script request by request, and stays at its last step. */
async function setUp(t: TestContext, script: Step[]) {
  const directory = await mkdtemp(join(tmpdir(), 'filmgate-resume-'))
  const requests: IncomingMessage['headers'][] = []
  let whenAt = (_bytes: number) => {}
  const server = createServer((request, answer) => {
    requests.push(request.headers)
    const breakOff: BreakOff = (atByte) => {
      whenAt = (bytes) => bytes === atByte && answer.destroy()
    }
    script[Math.min(requests.length, script.length) - 1]!(answer, request, breakOff)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const outbound = createOutbound({ allowPrivate: true })
  t.after(async () => {
    await outbound.close()
    server.closeAllConnections()
    server.close()
    await rm(directory, { recursive: true })
  })
  const path = join(directory, 'film')
  const fetchFile = (options: Partial<Download> = {}) =>
    downloadMedia({
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      path,
      outbound,
      maxBytes: 10_000_000,
      timeLimitMs: 60_000,
      fits: (bytes) => {
        whenAt(bytes)
        return true
      },
      patience: { retries: 3, pauseMs: 1, silenceMs: 20_000 },
      ...options,
    })
  const arrives = async (content: Buffer, options?: Partial<Download>) => {
    const sha256 = createHash('sha256').update(content).digest('hex')
    assert.deepEqual(await fetchFile(options), { ok: true, bytes: content.length, sha256 })
    assert.ok(content.equals(await readFile(path)), 'the file holds other bytes')
  }
  return { requests, directory, outbound, fetchFile, arrives }
}

/** Bytes that differ from place to place and, by the seed, from file to file. */
function bytesOf(seed: number, length = 1_500_000): Buffer {
  return Buffer.from(
    Uint32Array.from({ length: length / 4 }, (_, index) => index * 4 + seed * 1_000_003).buffer,
  )
}

const film = bytesOf(1)
/** Further than the first block that is written. */
const cutAt = 1_200_000
const strong = { etag: '"one"' }

/** The whole film, or its first bytes and then no more. */
function whole(
  headers: OutgoingHttpHeaders = {},
  { content = film, until, stall = false }: { content?: Buffer; until?: number; stall?: boolean } = {},
): Step {
  return (answer, _request, breakOff) => {
    answer.writeHead(200, { 'content-length': content.length, ...headers })
    if (until === undefined) return answer.end(content)
    if (!stall) breakOff(until)
    return answer.write(content.subarray(0, until))
  }
}

/** Where the request wants to go on. */
function startOf({ headers }: Pick<IncomingMessage, 'headers'>): number {
  return Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1])
}

/** Of which requests it is the rest of the file that is asked for. */
function asksForRest(requests: IncomingMessage['headers'][]): boolean[] {
  return requests.map(({ range }) => range !== undefined)
}

/** The rest, from where it is asked for; `range` may tell it otherwise. */
function rest(
  headers: OutgoingHttpHeaders = {},
  { content = film, range }: { content?: Buffer; range?: (start: number) => string } = {},
): Step {
  return (answer, request) => {
    const start = startOf(request)
    const told = range?.(start) ?? `bytes ${start}-${content.length - 1}/${content.length}`
    answer.writeHead(206, { 'content-range': told, ...headers })
    answer.end(content.subarray(start))
  }
}

/** Ever the next so many bytes of the file, and then no more. */
function someOf(content: Buffer, step: number): Step {
  return (answer, request, breakOff) => {
    const start = startOf(request) || 0
    const end = start + step
    const range = `bytes ${start}-${content.length - 1}/${content.length}`
    const headers = { ...strong, 'content-length': content.length - start }
    if (start === 0) answer.writeHead(200, headers)
    else answer.writeHead(206, { ...headers, 'content-range': range })
    if (end >= content.length) return answer.end(content.subarray(start))
    breakOff(end)
    return answer.write(content.subarray(start, end))
  }
}

test('a transfer that breaks off goes on where it ended, by ETag or by Last-Modified', async (t) => {
  const lastModified = { 'last-modified': 'Mon, 01 Jan 2024 10:00:00 GMT' }
  for (const headers of [strong, lastModified]) {
    const { requests, arrives } = await setUp(t, [whole(headers, { until: cutAt }), rest(headers)])
    await arrives(film)
    assert.equal(requests.length, 2)
    assert.equal(requests[1]!.range, `bytes=${cutAt}-`)
    assert.deepEqual([requests[1]!['if-range']], Object.values(headers))
  }
})

test('a transfer that falls silent is taken up again long before its time is over', async (t) => {
  const { requests, arrives } = await setUp(t, [
    whole(strong, { until: cutAt, stall: true }),
    someOf(film, film.length),
  ])
  await arrives(film, { patience: { retries: 3, pauseMs: 1, silenceMs: 500 } })
  assert.ok(requests.length > 1)
})

test('what can not be proved to be the same file is begun anew', async (t) => {
  const now = new Date().toUTCString()
  const unproved = [{}, { etag: 'W/"one"' }, { 'last-modified': now, date: now }]
  for (const headers of unproved) {
    const { requests, arrives } = await setUp(t, [whole(headers, { until: cutAt }), whole(headers)])
    await arrives(film)
    assert.deepEqual(
      requests.map(({ range }) => range),
      [undefined, undefined],
    )
  }
})

test('a server that answers a range with the whole file gives the file once, changed or not', async (t) => {
  for (const content of [film, bytesOf(2), bytesOf(2, 100_000)]) {
    const { requests, arrives } = await setUp(t, [
      whole(strong, { until: cutAt }),
      whole({ etag: '"two"' }, { content }),
    ])
    await arrives(content)
    assert.equal(requests.length, 2)
  }
})

test('the rest of another version is never joined to what came before, even at the same length', async (t) => {
  const changed = bytesOf(2)
  const longer = bytesOf(2, 1_600_000)
  const cases: [Step, Buffer][] = [
    [rest({ etag: '"two"' }, { content: changed }), changed],
    [rest({}, { content: changed }), changed],
    [rest(strong, { content: longer }), longer],
  ]
  for (const [wrongRest, content] of cases) {
    const { requests, arrives } = await setUp(t, [
      whole(strong, { until: cutAt }),
      wrongRest,
      whole({ etag: '"two"' }, { content }),
    ])
    await arrives(content)
    assert.deepEqual(asksForRest(requests), [false, true, false])
  }
})

test('a partial answer that is not the part asked for is thrown away', async (t) => {
  const total = film.length
  const wrong = [
    () => `bytes 0-${total - 1}/${total}`,
    (start: number) => `bytes ${start + 1}-${total - 1}/${total}`,
    (start: number) => `bytes ${start}-${total}/${total}`,
    (start: number) => `bytes ${start}-${start - 1}/${total}`,
    (start: number) => `bytes ${start}-${total - 1}/*`,
    () => '',
  ]
  for (const range of wrong) {
    const { requests, arrives } = await setUp(t, [
      whole(strong, { until: cutAt }),
      rest(strong, { range }),
      whole(strong),
    ])
    await arrives(film)
    assert.deepEqual(asksForRest(requests), [false, true, false], range(cutAt))
  }
})

test('a part with more bytes than its range says is thrown away', async (t) => {
  const tooLong: Step = (answer, request) => {
    const start = startOf(request)
    answer.writeHead(206, { ...strong, 'content-range': `bytes ${start}-${start + 9}/${film.length}` })
    answer.end(film.subarray(start))
  }
  const { requests, arrives } = await setUp(t, [whole(strong, { until: cutAt }), tooLong, whole(strong)])
  await arrives(film)
  assert.deepEqual(asksForRest(requests), [false, true, false])
})

test('a server that knows no such range (416) is asked for the whole file', async (t) => {
  const { requests, arrives } = await setUp(t, [
    whole(strong, { until: cutAt }),
    (answer) => answer.writeHead(416, { 'content-range': 'bytes */100' }).end(),
    whole(strong),
  ])
  await arrives(film)
  assert.deepEqual(asksForRest(requests), [false, true, false])
})

test('a file whose length was not told at first still ends at the cap', async (t) => {
  const { fetchFile, requests, directory } = await setUp(t, [
    (answer, _request, breakOff) => {
      breakOff(cutAt)
      answer.writeHead(200, strong).write(film.subarray(0, cutAt))
    },
    rest(strong),
  ])
  const outcome = await fetchFile({ maxBytes: cutAt + 1 })
  assert.equal(outcome.ok === false && outcome.reason, 'too_large')
  assert.equal(requests.length, 2)
  assert.deepEqual(await readdir(directory), [])
})

test('a file that always breaks off at the same place is given up, whether it is resumed or not', async (t) => {
  let isSooner = true
  const soonerOrLater: Step = (...all) => {
    isSooner = !isSooner
    whole({}, { until: isSooner ? 10 : cutAt })(...all)
  }
  const breaking: [string, Step[]][] = [
    ['now sooner, now later', [soonerOrLater]],
    ['begun anew', [whole({}, { until: cutAt })]],
    ['resumed', [whole(strong, { until: 100_000 }), someOf(film, 1)]],
  ]
  for (const [name, script] of breaking) {
    const { fetchFile, requests, directory } = await setUp(t, script)
    const outcome = await fetchFile()
    assert.equal(outcome.ok === false && outcome.reason, 'unreachable', name)
    assert.equal(requests.length, 1 + 4, name)
    assert.deepEqual(await readdir(directory), [])
  }
})

test('a transfer that gets on may break off as often as it likes', async (t) => {
  const large = bytesOf(3, 700_000)
  const { requests, arrives } = await setUp(t, [someOf(large, 70_000)])
  await arrives(large, { patience: { retries: 1, pauseMs: 1, silenceMs: 20_000 } })
  assert.equal(requests.length, 10)
})

test('a server that gives ever less than the range asked for is asked on for the rest', async (t) => {
  const step = 500_000
  const inPieces: Step = (answer, request) => {
    const start = startOf(request)
    const last = Math.min(start + step, film.length) - 1
    answer.writeHead(206, { ...strong, 'content-range': `bytes ${start}-${last}/${film.length}` })
    answer.end(film.subarray(start, last + 1))
  }
  const { arrives } = await setUp(t, [whole(strong, { until: step }), inPieces])
  await arrives(film)
})

test('on the way back, a server in trouble is asked again, and one that says no is believed', async (t) => {
  const begun = whole(strong, { until: cutAt })
  const trouble: Step = (answer) => answer.writeHead(503).end()
  const lost: Step = (answer) => answer.destroy()
  const { arrives, requests } = await setUp(t, [begun, trouble, lost, rest(strong)])
  await arrives(film)
  assert.ok(startOf({ headers: requests[3]! }) > 0)
  for (const status of [403, 404, 410]) {
    const gone = await setUp(t, [begun, (answer) => answer.writeHead(status).end()])
    const message = `The server answered ${status}.`
    assert.deepEqual(await gone.fetchFile(), { ok: false, reason: 'unreachable', message })
    assert.equal(gone.requests.length, 2)
    assert.deepEqual(await readdir(gone.directory), [])
  }
})

test('a connection that is lost before the answer is tried again', async (t) => {
  const { arrives, requests } = await setUp(t, [(answer) => answer.destroy(), whole()])
  await arrives(film)
  assert.equal(requests.length, 2)
})

test('the way back is checked like the way there: a redirect to a private address is refused', async (t) => {
  // The first request and the resume are allowed by a guard for tests; the check of the redirect is the real one.
  const strict = createOutbound({ allowPrivate: false })
  t.after(() => strict.close())
  const { fetchFile, requests, outbound, directory } = await setUp(t, [
    whole(strong, { until: cutAt }),
    (answer) => answer.writeHead(302, { location: 'http://169.254.169.254/secret' }).end(),
  ])
  let checks = 0
  const check: Outbound['check'] = (...asked) => {
    checks += 1
    return (checks <= 2 ? outbound : strict).check(...asked)
  }
  const outcome = await fetchFile({ outbound: { ...outbound, check } })
  assert.equal(outcome.ok === false && outcome.reason, 'refused_address')
  assert.equal(requests.length, 2)
  assert.deepEqual(await readdir(directory), [])
})

test('a name that leads to a private address on the way back is refused, and not asked again', async (t) => {
  const strict = createOutbound({ allowPrivate: false })
  t.after(() => strict.close())
  const { fetchFile, requests, outbound } = await setUp(t, [whole(strong, { until: cutAt })])
  let connections = 0
  const turning: Outbound = {
    ...outbound,
    get dispatcher() {
      connections += 1
      return (connections === 1 ? outbound : strict).dispatcher
    },
  }
  const outcome = await fetchFile({ outbound: turning })
  assert.equal(outcome.ok === false && outcome.reason, 'refused_address')
  assert.deepEqual([connections, requests.length], [2, 1])
})

test('all takes no longer than the time limit, however patient', async (t) => {
  const { fetchFile, directory } = await setUp(t, [whole({}, { until: 10 })])
  const patience = { retries: 1_000_000, pauseMs: 1, silenceMs: 20_000 }
  const message = 'The server did not answer in time.'
  assert.deepEqual(await fetchFile({ patience, timeLimitMs: 300 }), {
    ok: false,
    reason: 'unreachable',
    message,
  })
  assert.deepEqual(await readdir(directory), [])
})
