import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileRanges, isWithin, parseRange } from './addresses.ts'

test('addresses and CIDR ranges are read, and nothing else', () => {
  assert.deepEqual(parseRange('10.0.0.0/8'), { address: '10.0.0.0', bits: 8, family: 'ipv4' })
  assert.deepEqual(parseRange('10.0.0.1'), { address: '10.0.0.1', bits: 32, family: 'ipv4' })
  assert.deepEqual(parseRange('2001:db8::/32'), { address: '2001:db8::', bits: 32, family: 'ipv6' })
  assert.deepEqual(parseRange('::1'), { address: '::1', bits: 128, family: 'ipv6' })
  for (const text of [
    '',
    ' ',
    '10.0.0',
    '10.0.0.256',
    '010.0.0.1',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/a',
    ' 10.0.0.1',
    '::/129',
    '2001:db8:::/32',
    'localhost',
    '*',
    'fe80::1%eth0',
    '::ffff:10.0.0.1/90',
  ]) {
    assert.equal(parseRange(text), undefined, JSON.stringify(text))
  }
})

for (const [allowed, inside, outside] of [
  ['10.1.2.3', ['10.1.2.3', '::ffff:10.1.2.3', '::FFFF:10.1.2.3'], ['10.1.2.4', '::1', '::ffff:10.1.2.4']],
  ['10.0.0.0/8', ['10.0.0.0', '10.255.255.255', '::ffff:10.9.9.9'], ['9.255.255.255', '11.0.0.0']],
  // the bits behind the prefix do not matter
  ['10.1.2.3/16', ['10.1.0.0', '10.1.255.255'], ['10.2.0.0']],
  ['192.168.1.4/31', ['192.168.1.4', '192.168.1.5'], ['192.168.1.3', '192.168.1.6']],
  ['0.0.0.0/0', ['1.2.3.4', '255.255.255.255'], ['2001:db8::1']],
  ['2001:db8::/32', ['2001:db8::1', '2001:DB8:FFFF::'], ['2001:db9::', '10.0.0.1']],
  ['::1', ['::1', '0:0:0:0:0:0:0:1'], ['::2', '127.0.0.1']],
  ['::ffff:10.0.0.0/104', ['10.2.3.4', '::ffff:10.2.3.4', '::ffff:a02:304'], ['11.0.0.1']],
  ['::ffff:a00:1', ['10.0.0.1', '::ffff:10.0.0.1'], ['10.0.0.2', '::1']],
  ['fe80::/10', ['fe80::1%eth0', 'fe80::1'], ['2001:db8::1']],
] as const) {
  test(`${allowed} lets in the addresses inside it alone`, () => {
    for (const address of inside) assert.equal(isWithin(compileRanges([allowed]), address), true, address)
    for (const address of outside) assert.equal(isWithin(compileRanges([allowed]), address), false, address)
    for (const address of inside)
      assert.equal(isWithin(compileRanges(['203.0.113.7', allowed]), address), true)
  })
}

test('what is no address is let in by no range', () => {
  for (const address of ['', 'localhost', '10.0.0', '::ffff:10.0.0.999', 'unknown']) {
    assert.equal(isWithin(compileRanges(['0.0.0.0/0', '::/0']), address), false, address)
  }
})
