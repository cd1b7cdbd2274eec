import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hiding } from './hide.ts'

const hide = hiding(['a-key', undefined, ''])
const token = `job_0mwq8tv7r0uempki9tiqe99rs.2dc3wz5u4upsZCiE131CLgZS-v4OO4Ik-mk-B_XggaE`

test('keys and tokens are taken out of what an upstream says, wherever they are', () => {
  assert.equal(hide('a-key, Bearer a-key.'), '(key), Bearer (key).')
  assert.equal(hide('eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhIn0.c2ln is old'), '(token) is old')
  assert.equal(
    hide(`https://f.example.com/callbacks/fal/${token} is down`),
    'https://f.example.com/callbacks/fal/job_0mwq8tv7r0uempki9tiqe99rs.(token) is down',
  )
  assert.doesNotMatch(hide(`?fal_webhook=https%3A%2F%2Ff.example.com%2Fcallbacks%2F${token}`), /2dc3wz5/)
})

test('of an address that an upstream repeats what permits to use it is taken out', () => {
  const url = 'https://bucket.example.com/a/b.png'
  assert.equal(hide(`no such file: "${url}?X-Signature=s3cret&x=1"`), `no such file: "${url}?(query)"`)
  assert.equal(hide(`${url} and ${url}?s=s3cret`), `${url} and ${url}?(query)`)
  assert.doesNotMatch(hide(`${encodeURIComponent(`${url}?s=s3cret`)}`), /s3cret/)
  assert.equal(hide('Why? Because.'), 'Why? Because.')
})

test('what an upstream says is one line, and nothing that a terminal obeys', () => {
  assert.equal(hide('no\u001b[2J\nfal is open\u202e\u0000\t!'), 'no [2J fal is open !')
})

test('a long text is gone through in no time', { timeout: 20_000 }, () => {
  for (const text of ['https://'.repeat(120_000), `https://${'a'.repeat(1_000_000)}`, 'eyJ'.repeat(300_000)])
    hide(text)
})
