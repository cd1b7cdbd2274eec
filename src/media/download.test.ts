import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { createOutbound, type Lookup } from '../outbound.ts'
import { downloadMedia } from './download.ts'

async function setUp(
  t: TestContext,
  listener: RequestListener,
  guard: { lookup?: Lookup; strict?: true } = {},
) {
  const directory = await mkdtemp(join(tmpdir(), 'filmgate-download-'))
  const server = createServer(listener)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const outbound = createOutbound({
    allowPrivate: guard.strict !== true,
    ...(guard.lookup && { lookup: guard.lookup }),
  })
  t.after(async () => {
    await outbound.close()
    server.closeAllConnections()
    server.close()
    await rm(directory, { recursive: true })
  })
  const path = join(directory, 'picture')
  const fetchFile = (url: string, limits: { maxBytes?: number; timeLimitMs?: number } = {}) =>
    downloadMedia({
      url: URL.parse(url, origin)!.href,
      path,
      outbound,
      maxBytes: 1000,
      timeLimitMs: 10_000,
      patience: { retries: 2, pauseMs: 1, silenceMs: 10_000 },
      ...limits,
    })
  return { origin, path, directory, fetchFile }
}

test('a file arrives whole, with size and hash', async (t) => {
  const content = Buffer.alloc(1000, 'x')
  const { fetchFile, path } = await setUp(t, (_, answer) => answer.end(content))
  const sha256 = createHash('sha256').update(content).digest('hex')
  assert.deepEqual(await fetchFile('/'), { ok: true, bytes: 1000, sha256 })
  assert.deepEqual(await readFile(path), content)
})

test('a file over the cap is refused, whether its length is told, hidden or a lie, and nothing is left', async (t) => {
  const { fetchFile, directory } = await setUp(t, (incoming, answer) => {
    const content = Buffer.alloc(1001, 'x')
    if (incoming.url === '/told') return answer.end(content)
    // nothing has come yet, and nothing need be waited for
    if (incoming.url === '/promised') return answer.writeHead(200, { 'content-length': 1001 }).flushHeaders()
    answer.writeHead(200)
    answer.write(content.subarray(0, 600))
    return answer.end(content.subarray(600))
  })
  for (const url of ['/told', '/promised', '/chunked']) {
    const outcome = await fetchFile(url)
    assert.equal(outcome.ok === false && outcome.reason, 'too_large', url)
    assert.deepEqual(await readdir(directory), [])
  }
})

test('more or fewer bytes than Content-Length says never make a file over the cap or cut off', async (t) => {
  const liar = createTcpServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', (head) => {
      const length = head.toString().startsWith('GET /few') ? 900 : 10
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n${'x'.repeat(500)}`)
    })
  })
  await once(liar.listen(0, '127.0.0.1'), 'listening')
  t.after(() => liar.close())
  const { fetchFile, directory, path } = await setUp(t, () => {})
  const { port } = liar.address() as AddressInfo
  const few = await fetchFile(`http://127.0.0.1:${port}/few`)
  assert.equal(few.ok === false && few.reason, 'unreachable')
  assert.deepEqual(await readdir(directory), [])
  const many = await fetchFile(`http://127.0.0.1:${port}/many`, { maxBytes: 100 })
  if (many.ok) assert.equal((await readFile(path)).length, 10)
  else assert.deepEqual(await readdir(directory), [])
})

test('an endless body ends at the cap', async (t) => {
  const { fetchFile } = await setUp(t, (_, answer) => {
    const more = () => {
      while (!answer.destroyed && answer.write(Buffer.alloc(65_536)));
    }
    answer.on('drain', more)
    more()
  })
  const outcome = await fetchFile('/')
  assert.equal(outcome.ok === false && outcome.reason, 'too_large')
})

test('a server that stalls before, in or between the bytes is left at the time limit', async (t) => {
  const { fetchFile, directory } = await setUp(t, (incoming, answer) => {
    if (incoming.url === '/silent') return
    answer.writeHead(200, { 'content-length': 900 })
    answer.write('x')
    if (incoming.url === '/stalled') return
    const drip = setInterval(() => answer.write('x'), 20)
    answer.on('close', () => clearInterval(drip))
  })
  for (const url of ['/silent', '/stalled', '/drip']) {
    const outcome = await fetchFile(url, { timeLimitMs: 200 })
    assert.deepEqual(
      outcome,
      { ok: false, reason: 'unreachable', message: 'The server did not answer in time.' },
      url,
    )
    assert.deepEqual(await readdir(directory), [])
  }
})

test('a broken encoding is refused, and the label of an upload changes nothing', async (t) => {
  const { fetchFile, directory } = await setUp(t, (incoming, answer) => {
    answer.setHeader('content-encoding', incoming.url!.slice(1))
    answer.end('x'.repeat(100))
  })
  for (const encoding of ['gzip', 'br', 'aws-chunked,zstd']) {
    const message = 'The server sent the file in a broken encoding.'
    assert.deepEqual(await fetchFile(`/${encoding}`), { ok: false, reason: 'unreachable', message })
  }
  assert.deepEqual(await readdir(directory), [])
  assert.equal((await fetchFile('/aws-chunked')).ok, true)
})

test('only a whole file counts, and a connection that breaks off leaves nothing', async (t) => {
  const { fetchFile, directory } = await setUp(t, (incoming, answer) => {
    const status = Number(incoming.url?.slice(1))
    if (status > 0) return answer.writeHead(status).end(status === 204 ? undefined : 'x')
    answer.writeHead(200, { 'content-length': 500 })
    answer.write('half', () => answer.destroy())
  })
  for (const status of [204, 304, 403, 404, 500]) {
    const outcome = await fetchFile(`/${status}`)
    const message = `The server answered ${status}.`
    assert.deepEqual(outcome, { ok: false, reason: 'unreachable', message })
  }
  const broken = await fetchFile('/broken')
  assert.equal(broken.ok === false && broken.reason, 'unreachable')
  assert.deepEqual(await readdir(directory), [])
})

test('ten redirects are followed, relative ones too, and an eleventh is not', async (t) => {
  const { fetchFile, origin } = await setUp(t, (incoming, answer) => {
    const left = Number(incoming.url?.slice(1))
    if (left === 0) return answer.end('found')
    const location = left % 2 === 0 ? `/${left - 1}` : `${origin}/${left - 1}`
    return answer.writeHead(302, { location }).end()
  })
  assert.equal((await fetchFile('/10')).ok, true)
  const outcome = await fetchFile('/11')
  assert.equal(outcome.ok === false && outcome.message, 'The server redirected more than 10 times.')
})

test('cookies that a redirect sets are brought back to their host, within one download', async (t) => {
  const seen: (string | undefined)[] = []
  const other = createServer((incoming, answer) => {
    seen.push(incoming.headers.cookie)
    answer.end('found')
  })
  await once(other.listen(0, '127.0.0.1'), 'listening')
  t.after(() => other.close())
  const { fetchFile } = await setUp(t, (incoming, answer) => {
    if (incoming.url === '/start') {
      const cookies = ['pass=1; Path=/', 'far=1; Domain=example.com', 'gone=1; Max-Age=0']
      return answer.writeHead(302, { location: '/next', 'set-cookie': cookies }).end()
    }
    seen.push(incoming.headers.cookie)
    const away = `http://localhost:${(other.address() as AddressInfo).port}/`
    return answer.writeHead(302, { location: away }).end()
  })
  assert.equal((await fetchFile('/start')).ok, true)
  assert.equal((await fetchFile('/next')).ok, true)
  assert.deepEqual(seen, ['pass=1', undefined, undefined, undefined])
})

test('a whole file is taken as 203 and as a partial answer, and a part of one is not', async (t) => {
  const { fetchFile } = await setUp(t, (incoming, answer) => {
    if (incoming.url === '/203') return answer.writeHead(203).end('found')
    const range = { '/whole': 'bytes 0-4/5', '/part': 'bytes 0-4/9', '/late': 'bytes 4-8/9' }[incoming.url!]
    return answer.writeHead(206, range === undefined ? {} : { 'content-range': range }).end('found')
  })
  for (const url of ['/203', '/whole']) assert.equal((await fetchFile(url)).ok, true, url)
  for (const url of ['/part', '/late', '/none']) {
    const outcome = await fetchFile(url)
    assert.equal(outcome.ok === false && outcome.message, 'The server sent only a part of the file.', url)
  }
})

test('a body that was compressed unasked is read, and cut off where it grows too large', async (t) => {
  const content = Buffer.alloc(900, 'x')
  const encoded: Record<string, Buffer> = {
    gzip: gzipSync(content),
    br: brotliCompressSync(content),
    deflate: deflateSync(content),
    zstd: zstdCompressSync(content),
  }
  const { fetchFile, path } = await setUp(t, (incoming, answer) => {
    const [, encoding = '', kind] = incoming.url!.split('/')
    const body = kind === 'bomb' ? gzipSync(Buffer.alloc(50_000_000)) : (encoded[encoding] ?? content)
    answer.writeHead(200, { 'content-encoding': encoding, 'content-length': body.length })
    return answer.end(kind === 'cut' ? body.subarray(0, 10) : body)
  })
  for (const encoding of Object.keys(encoded)) {
    assert.equal((await fetchFile(`/${encoding}`)).ok, true, encoding)
    assert.deepEqual(await readFile(path), content)
  }
  const bomb = await fetchFile('/gzip/bomb')
  assert.equal(bomb.ok === false && bomb.reason, 'too_large')
  const unknown = await fetchFile('/compress')
  assert.match(unknown.ok ? '' : unknown.message, /encoded as compress, which is not read/)
})

test('headers of 40 KB are taken', async (t) => {
  const { fetchFile } = await setUp(t, (_, answer) =>
    answer.writeHead(200, { policy: 'x'.repeat(40_000) }).end('found'),
  )
  assert.equal((await fetchFile('/')).ok, true)
})

test('a redirect to where a store has signed at length is followed', async (t) => {
  const { fetchFile } = await setUp(t, (incoming, answer) => {
    if (incoming.url !== '/') return answer.end('x')
    return answer.writeHead(302, { location: `/?token=${'a'.repeat(4_000)}` }).end()
  })
  assert.equal((await fetchFile('/')).ok, true)
})

test('a redirect to another scheme or a malformed URL is unreachable', async (t) => {
  const { fetchFile } = await setUp(t, (incoming, answer) => {
    answer.writeHead(301, { location: incoming.url === '/file' ? 'file:///etc/passwd' : 'http://[' }).end()
  })
  for (const url of ['/file', '/malformed']) {
    const outcome = await fetchFile(url)
    assert.equal(outcome.ok === false && outcome.reason, 'unreachable', url)
  }
})

test('private addresses are refused as literal and as name, and the message names none', async (t) => {
  const lookup: Lookup = async () => [{ address: '127.0.0.1', family: 4 }]
  const listener = () => assert.fail('the private server was reached')
  const { fetchFile, origin } = await setUp(t, listener, { strict: true, lookup })
  for (const url of [
    origin,
    origin.replace('127.0.0.1', 'inner.example'),
    'http://169.254.169.254/latest/',
  ]) {
    const outcome = await fetchFile(url)
    assert.equal(outcome.ok === false && outcome.reason, 'refused_address', url)
    assert.doesNotMatch(outcome.ok ? '' : outcome.message, /\d+\.\d+/)
  }
})

test('each redirect is checked anew: one to a private address is refused', async (t) => {
  // The first hop is allowed by a guard for tests; the check of the redirect is the real one.
  const open = createOutbound({ allowPrivate: true })
  const strict = createOutbound({ allowPrivate: false })
  const { origin, path } = await setUp(t, (incoming, answer) => {
    if (incoming.url !== '/') return answer.end('secret')
    return answer.writeHead(302, { location: '/secret' }).end()
  })
  t.after(() => Promise.all([open.close(), strict.close()]))
  let checks = 0
  const check: typeof open.check = (url, protocols) => {
    checks += 1
    return (checks === 1 ? open : strict).check(url, protocols)
  }
  const outbound = { ...open, check }
  const outcome = await downloadMedia({ url: origin, path, outbound, maxBytes: 1000, timeLimitMs: 10_000 })
  assert.equal(outcome.ok === false && outcome.reason, 'refused_address')
})

test('a name that does not resolve is unreachable', async (t) => {
  const { fetchFile } = await setUp(t, () => {}, { lookup: async () => [] })
  const outcome = await fetchFile('http://nowhere.example/x.png')
  assert.deepEqual(outcome, { ok: false, reason: 'unreachable', message: 'The host name does not resolve.' })
})
