import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { test } from 'node:test'
import { request } from 'undici'
import {
  assertPublicUrl,
  createOutbound,
  isPublicAddress,
  outboundFailure,
  resolvePublic,
} from './outbound.ts'

const web = ['http:', 'https:'] as const

const privateHosts = [
  'localhost',
  'LOCALHOST.',
  'app.localhost',
  'printer.local',
  'metadata.google.internal',
  'intranet',
  '127.0.0.1',
  '127.1',
  '2130706433',
  '0x7f000001',
  '017700000001',
  '0',
  '10.1.2.3',
  '172.16.0.1',
  '192.168.1.1',
  '169.254.169.254',
  '100.64.0.1',
  '192.0.0.192',
  '192.0.2.1',
  '198.18.0.1',
  '198.51.100.7',
  '203.0.113.7',
  '192.88.99.1',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '168.63.129.16',
  '[::]',
  '[::1]',
  '[::127.0.0.1]',
  '[::ffff:127.0.0.1]',
  '[::ffff:a9fe:a9fe]',
  '[::ffff:0:127.0.0.1]',
  '[64:ff9b::10.0.0.1]',
  '[64:ff9b:1::8.8.8.8]',
  '[2002:7f00:1::]',
  '[2001:0:4136:e378:8000:63bf:3fff:fdd2]',
  '[2001:db8::1]',
  '[3fff::1]',
  '[100::1]',
  '[fc00::1]',
  '[fd12:3456::1]',
  '[fe80::1]',
  '[fec0::1]',
  '[ff02::1]',
  '[5f00::1]',
  '[4000::1]',
]

for (const host of privateHosts) {
  test(`a URL to ${host} is refused`, () => {
    const check = assertPublicUrl(`https://${host}:8443/x`, { allowPrivate: false, protocols: web })
    assert.equal(check.ok === false && check.reason, 'refused_address')
    assert.equal(assertPublicUrl(`http://${host}/x`, { allowPrivate: true, protocols: ['https:'] }).ok, true)
  })
}

for (const host of [
  'example.com',
  '8.8.8.8',
  '[2606:4700::1111]',
  '[64:ff9b::8.8.8.8]',
  '[::ffff:8.8.8.8]',
]) {
  test(`a URL to ${host} is accepted`, () => {
    assert.equal(
      assertPublicUrl(`https://${host}/x`, { allowPrivate: false, protocols: ['https:'] }).ok,
      true,
    )
  })
}

test('other schemes, credentials, overlong and malformed URLs are refused, each for its reason', () => {
  const reasonOf = (url: string) => {
    const check = assertPublicUrl(url, { allowPrivate: false, protocols: ['https:'] })
    return check.ok ? 'ok' : check.reason
  }
  assert.equal(reasonOf('http://example.com/'), 'protocol')
  assert.equal(reasonOf('file:///etc/passwd'), 'protocol')
  assert.equal(reasonOf('gopher://example.com/'), 'protocol')
  assert.equal(reasonOf('https://user:secret@example.com/'), 'credentials')
  assert.equal(reasonOf(`https://example.com/${'a'.repeat(2048)}`), 'too_long')
  assert.equal(reasonOf('example.com/picture.png'), 'malformed')
  assert.equal(reasonOf('https://1.2.3.4.5.256/'), 'malformed')
  assert.equal(
    assertPublicUrl('ftp://127.0.0.1/', { allowPrivate: true, protocols: ['https:'] }).ok,
    false,
    'not even where private addresses are allowed',
  )
})

test('a name is public only if all of its addresses are', async () => {
  const answering = (...addresses: string[]) => ({
    allowPrivate: false,
    lookup: async () => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
  })
  assert.equal((await resolvePublic('a.example', answering('8.8.8.8', '2606:4700::1111'))).outcome, 'public')
  assert.equal((await resolvePublic('a.example', answering('8.8.8.8', '10.0.0.1'))).outcome, 'refused')
  assert.equal((await resolvePublic('a.example', answering())).outcome, 'unresolved')
  const failing = { allowPrivate: false, lookup: () => Promise.reject(new Error('SERVFAIL')) }
  assert.equal((await resolvePublic('a.example', failing)).outcome, 'unresolved')
  assert.equal((await resolvePublic('[::1]', answering('8.8.8.8'))).outcome, 'refused')
  assert.equal(isPublicAddress('fe80::1%eth0'), false)
  assert.equal(isPublicAddress('not an address'), false)
})

async function serve(t: { after(fn: () => void): void }, server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

test('a name that was public when checked and private when used gets no connection', async (t) => {
  const trap = createServer(() => assert.fail('the private server was reached'))
  const port = await serve(t, trap)
  const answers = ['8.8.8.8', '127.0.0.1']
  const outbound = createOutbound({
    allowPrivate: false,
    lookup: async () => [{ address: answers.shift()!, family: 4 }],
  })
  t.after(() => outbound.close())
  assert.equal((await outbound.resolve('rebind.example')).outcome, 'public')
  const error = await request(`http://rebind.example:${port}/`, { dispatcher: outbound.dispatcher }).catch(
    (e) => e,
  )
  assert.equal(outboundFailure(error).reason, 'refused_address')
  assert.equal(answers.length, 0)
})

test('a connection resolves once and goes to the address that was checked', async (t) => {
  const port = await serve(
    t,
    createServer((incoming, answer) => answer.end(incoming.headers.host)),
  )
  const answers = ['127.0.0.1', '192.0.2.1']
  const outbound = createOutbound({
    allowPrivate: true,
    lookup: async () => [{ address: answers.shift()!, family: 4 }],
  })
  t.after(() => outbound.close())
  const answer = await request(`http://rebind.example:${port}/`, { dispatcher: outbound.dispatcher })
  assert.equal(await answer.body.text(), `rebind.example:${port}`)
  assert.deepEqual(answers, ['192.0.2.1'])
})

test('an address literal is judged at the connect step too', async (t) => {
  const port = await serve(
    t,
    createServer(() => assert.fail('the private server was reached')),
  )
  const outbound = createOutbound({ allowPrivate: false })
  t.after(() => outbound.close())
  for (const host of ['127.0.0.1', '[::ffff:127.0.0.1]', '[::1]']) {
    const error = await request(`http://${host}:${port}/`, { dispatcher: outbound.dispatcher }).catch(
      (e) => e,
    )
    assert.equal(outboundFailure(error).reason, 'refused_address', host)
  }
})

test('a redirect is handed back, not followed', async (t) => {
  const port = await serve(
    t,
    createServer((_, answer) => answer.writeHead(302, { location: '/elsewhere' }).end()),
  )
  const outbound = createOutbound({ allowPrivate: true })
  t.after(() => outbound.close())
  const answer = await request(`http://127.0.0.1:${port}/`, { dispatcher: outbound.dispatcher })
  await answer.body.dump()
  assert.equal(answer.statusCode, 302)
})

test('what failed is told without inner addresses', async (t) => {
  const outbound = createOutbound({ allowPrivate: true, lookup: async () => [] })
  t.after(() => outbound.close())
  const unresolved = await request('http://nowhere.example/', { dispatcher: outbound.dispatcher }).catch(
    (e) => e,
  )
  assert.equal(outboundFailure(unresolved).message, 'The host name does not resolve.')
  const closed = createTcpServer()
  await once(closed.listen(0, '127.0.0.1'), 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  const refused = await request(`http://127.0.0.1:${port}/`, { dispatcher: outbound.dispatcher }).catch(
    (e) => e,
  )
  assert.equal(outboundFailure(refused).message, 'The connection failed (ECONNREFUSED).')
})
