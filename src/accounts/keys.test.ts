import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cloneDatabase, makeCustomer } from '../../test/database.ts'
import {
  createKey,
  hashKey,
  isAllowedAddress,
  isWellFormedKey,
  listKeys,
  newKey,
  parseRange,
} from './keys.ts'

const { pool } = await cloneDatabase()

test('10,000 keys are distinct, of one length, and all well formed', () => {
  const keys = new Set(
    Array.from({ length: 10_000 }, (_, index) => newKey(index % 2 === 0 ? 'live' : 'test')),
  )
  assert.equal(keys.size, 10_000)
  for (const key of keys) {
    assert.match(key, /^pb_(live|test)_[0-9A-Za-z]{49}$/)
    assert.ok(isWellFormedKey(key), key)
  }
})

test('no character of a key can be changed without its checksum telling', () => {
  const key = newKey('live')
  for (let index = 0; index < key.length; index++) {
    for (const other of ['0', 'z', 'A']) {
      if (key[index] === other) continue
      assert.equal(isWellFormedKey(key.slice(0, index) + other + key.slice(index + 1)), false, `${index}`)
    }
  }
})

test('two characters cannot change places', () => {
  const key = newKey('test')
  for (let index = 8; index < key.length - 1; index++) {
    if (key[index] === key[index + 1]) continue
    const swapped = key.slice(0, index) + key[index + 1] + key[index] + key.slice(index + 2)
    assert.equal(isWellFormedKey(swapped), false, `${index}`)
  }
})

test('a key of the other mode, cut short, drawn out or padded is not well formed', () => {
  const key = newKey('live')
  for (const text of [
    key.replace('live', 'test'),
    key.slice(0, -1),
    `${key}0`,
    ` ${key}`,
    `${key}\n`,
    key.toLowerCase(),
    key.toUpperCase(),
    '',
    'pb_live_',
  ]) {
    assert.equal(isWellFormedKey(text), false, JSON.stringify(text))
  }
})

test('the database holds the hash of a key and its first characters, not the key', async () => {
  const { userId } = await makeCustomer(pool)
  const { key, prefix, keyId } = await createKey(pool, { userId, mode: 'live' })
  const { rows } = await pool.query('select k::text as text, hash from api_keys k where id = $1', [keyId])
  assert.deepEqual(rows[0].hash, hashKey(key))
  assert.equal(prefix, key.slice(0, 12))
  assert.ok(!rows[0].text.includes(key.slice(12)))
  assert.ok(!rows[0].text.includes(key.slice(8, 20)))
  const listed = JSON.stringify(await listKeys(pool, userId))
  assert.ok(listed.includes(prefix))
  assert.ok(!listed.includes(key.slice(8, 20)))
})

test('keys are listed newest first, of this user only', async () => {
  const { userId, keyId: first } = await makeCustomer(pool)
  const second = await createKey(pool, { userId, mode: 'test', name: 'second' })
  assert.deepEqual(
    (await listKeys(pool, userId)).map((key) => key.keyId),
    [second.keyId, first],
  )
})

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
  ['::ffff:10.0.0.0/104', ['10.2.3.4', '::ffff:10.2.3.4'], ['11.0.0.1']],
] as const) {
  test(`${allowed} lets in the addresses inside it alone`, () => {
    for (const address of inside) assert.equal(isAllowedAddress([allowed], address), true, address)
    for (const address of outside) assert.equal(isAllowedAddress([allowed], address), false, address)
    for (const address of inside) assert.equal(isAllowedAddress(['203.0.113.7', allowed], address), true)
  })
}

test('what is no address is let in by no range', () => {
  for (const address of ['', 'localhost', '10.0.0', '::ffff:10.0.0.999', 'unknown']) {
    assert.equal(isAllowedAddress(['0.0.0.0/0', '::/0'], address), false, address)
  }
})
