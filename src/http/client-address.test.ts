import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createProxies, findAddress } from './client-address.ts'

const trustedProxies = ['10.0.0.0/8', '127.0.0.1', '2001:db8:aaaa::/48', 'fe80::/10']
const forwardedFor = createProxies({ trustedProxies, proxyHeader: 'x-forwarded-for' })
const forwarded = createProxies({ trustedProxies, proxyHeader: 'forwarded' })
const nobody = createProxies({ trustedProxies: [], proxyHeader: 'x-forwarded-for' })

test('without trusted proxies, and from one that is not trusted, only the socket counts', () => {
  assert.equal(findAddress('10.0.0.1', '203.0.113.7', nobody), '10.0.0.1')
  assert.equal(findAddress('198.51.100.1', '203.0.113.7', forwardedFor), '198.51.100.1')
  assert.equal(findAddress('::ffff:198.51.100.1', '203.0.113.7', forwardedFor), '198.51.100.1')
})

for (const [header, address] of [
  ['203.0.113.7', '203.0.113.7'],
  ['203.0.113.9, 203.0.113.7', '203.0.113.7'],
  ['203.0.113.7,10.1.1.1 ,\t10.2.2.2', '203.0.113.7'],
  ['203.0.113.7:51234', '203.0.113.7'],
  ['::ffff:203.0.113.7', '203.0.113.7'],
  ['203.0.113.7, ::ffff:10.1.1.1', '203.0.113.7'],
  ['2001:DB8::0:1', '2001:db8::1'],
  ['[2001:db8::1]', '2001:db8::1'],
  ['[2001:db8::1]:443', '2001:db8::1'],
  ['203.0.113.7, fe80::1%eth0', '203.0.113.7'],
  // all are proxies: the farthest
  ['10.3.3.3, 10.1.1.1', '10.3.3.3'],
  // the search ends with the last good hop
  ['', '10.0.0.1'],
  ['unknown', '10.0.0.1'],
  ['203.0.113.7, unknown', '10.0.0.1'],
  ['203.0.113.7, unknown, 10.1.1.1', '10.1.1.1'],
  ['203.0.113.7, ', '10.0.0.1'],
  ['203.0.113.7,,10.1.1.1', '10.1.1.1'],
  ['203.0.113.7, 010.1.1.1', '10.0.0.1'],
  ['203.0.113.7, 10.1', '10.0.0.1'],
  ['203.0.113.7, [10.1.1.1]', '10.0.0.1'],
  ['203.0.113.7, 203.0.113.8:x', '10.0.0.1'],
  ['203.0.113.7, unix:', '10.0.0.1'],
] as const) {
  test(`x-forwarded-for "${header}" from a trusted proxy counts as ${address}`, () => {
    for (const socket of ['10.0.0.1', '::ffff:10.0.0.1', '::FFFF:A00:1']) {
      assert.equal(findAddress(socket, header, forwardedFor), address)
    }
  })
}

for (const [header, address] of [
  ['for=203.0.113.7', '203.0.113.7'],
  ['FOR=203.0.113.7;Proto=https;by=10.0.0.1', '203.0.113.7'],
  ['for=203.0.113.9, proto=http ; for="203.0.113.7:80"', '203.0.113.7'],
  ['for="[2001:db8::1]:443";host="a, b;c"', '2001:db8::1'],
  ['for="[2001:db8::1]", for="[2001:db8:aaaa::9]:_port"', '2001:db8::1'],
  ['for=203.0.113.7, for=10.1.1.1', '203.0.113.7'],
  // a client's open quote does not swallow what the proxy wrote
  ['for="203.0.113.9, for=203.0.113.7', '203.0.113.7'],
  ['for="_x, for="[2001:db8::1]:4711"', '2001:db8::1'],
  ['for=203.0.113.7, for=unknown', '10.0.0.1'],
  ['for=203.0.113.7, for=_hidden, for=10.1.1.1', '10.1.1.1'],
  ['for=203.0.113.7, proto=https', '10.0.0.1'],
  ['for=203.0.113.7;for=203.0.113.8', '10.0.0.1'],
  ['for="2001:db8::1"', '10.0.0.1'],
  ['203.0.113.7', '10.0.0.1'],
  ['for=203.0.113.7, ', '10.0.0.1'],
  ['', '10.0.0.1'],
] as const) {
  test(`forwarded ${header || '(empty)'} from a trusted proxy counts as ${address}`, () => {
    assert.equal(findAddress('::ffff:10.0.0.1', header, forwarded), address)
  })
}
