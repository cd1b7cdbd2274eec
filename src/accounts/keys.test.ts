import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cloneDatabase, makeCustomer } from '../../test/database.ts'
import { createKey, hashKey, isWellFormedKey, listKeys, newKey } from './keys.ts'

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
