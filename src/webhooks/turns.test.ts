import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTurns } from './turns.ts'

function setUp() {
  let now = 0
  const take = createTurns(() => now)
  const enter = (host: string, userId = 'ada') => {
    const turn = take(host, userId)
    assert.ok(turn.waitMs === undefined, `no place for ${host}`)
    return turn
  }
  const wait = (host: string, userId = 'ada') => {
    const turn = take(host, userId)
    assert.ok(turn.waitMs !== undefined, `there is a place for ${host}`)
    return turn.waitMs
  }
  const pass = (ms: number) => {
    now += ms
  }
  return { enter, wait, pass }
}

test('a host has four places, and one that ends makes room for one', () => {
  const { enter, wait } = setUp()
  const turns = Array.from({ length: 4 }, () => enter('slow.example'))
  wait('slow.example')
  enter('quick.example')
  turns[0]!.end()
  enter('slow.example')
  wait('slow.example')
})

test('a host whose last attempt was slow has one place until one is quick again', () => {
  const { enter, wait, pass } = setUp()
  const turns = Array.from({ length: 4 }, () => enter('slow.example'))
  pass(30_000)
  for (const turn of turns) turn.end()
  const only = enter('slow.example')
  wait('slow.example')
  pass(100)
  only.end()
  for (let count = 0; count < 4; count++) enter('slow.example')
  wait('slow.example')
})

test('a user has eight places over all hosts', () => {
  const { enter, wait } = setUp()
  for (let count = 0; count < 8; count++) enter(`${count}.example`)
  wait('another.example')
  enter('another.example', 'bob')
})

test('those sent away come back one after the other, at the pace of the host', () => {
  const { enter, wait, pass } = setUp()
  const first = enter('host.example')
  pass(200)
  first.end()
  for (let count = 0; count < 4; count++) enter('host.example')
  const waits = Array.from({ length: 10 }, () => wait('host.example'))
  assert.deepEqual(waits, [500, 550, 600, 650, 700, 750, 800, 850, 900, 950])
})

test('of any number sent away none waits for more than a minute, nor all for the same moment', () => {
  const { enter, wait } = setUp()
  for (let count = 0; count < 4; count++) enter('hung.example')
  const waits = Array.from({ length: 5_000 }, () => wait('hung.example'))
  assert.ok(Math.max(...waits) <= 60_000)
  assert.ok(new Set(waits).size > 4_000)
})

test('a host in use is not forgotten among thousands that are not', () => {
  const { enter, wait, pass } = setUp()
  for (let count = 0; count < 4; count++) enter('hung.example', 'bob')
  for (let count = 0; count < 3_000; count++) {
    enter(`${count}.example`).end()
    pass(1)
  }
  wait('hung.example', 'bob')
})
