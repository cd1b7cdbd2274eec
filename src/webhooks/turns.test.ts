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
  /** One delivery that took so long. */
  const made = (host: string, ms: number) => {
    const turn = enter(host)
    pass(ms)
    turn.end()
  }
  return { enter, wait, pass, made }
}

test('a host that is not known yet has two places, and one that ends makes room for one', () => {
  const { enter, wait } = setUp()
  const first = enter('new.example')
  enter('new.example')
  wait('new.example')
  enter('another.example')
  first.end()
  enter('new.example')
})

test('a slow host has one place until it is quicker', () => {
  const { enter, wait, made } = setUp()
  made('slow.example', 30_000)
  const only = enter('slow.example')
  wait('slow.example')
  only.end()
  enter('slow.example')
  enter('slow.example')
})

test('a quick host has up to twelve places, and the others stay free for hosts that have few', () => {
  const { enter, wait, made } = setUp()
  made('quick.example', 50)
  for (let count = 0; count < 12; count++) enter('quick.example')
  wait('quick.example')
  for (const host of ['a.example', 'b.example']) for (let count = 0; count < 2; count++) enter(host, 'bob')
})

test('a host that was quick gets no more than its own places once one of its deliveries hangs', () => {
  const { enter, wait, pass, made } = setUp()
  made('quick.example', 50)
  enter('quick.example')
  enter('quick.example')
  enter('quick.example')
  pass(1_000)
  wait('quick.example')
})

test('a user has twelve places over all hosts', () => {
  const { enter, wait } = setUp()
  for (let count = 0; count < 12; count++) enter(`${count}.example`)
  wait('another.example')
  enter('another.example', 'bob')
})

test('those sent away come back one after the other, at the pace of the host', () => {
  const { enter, wait, made } = setUp()
  made('steady.example', 2_000)
  enter('steady.example')
  enter('steady.example')
  const waits = Array.from({ length: 5 }, () => wait('steady.example'))
  assert.deepEqual(waits, [100, 1_100, 2_100, 3_100, 4_100])
})

test('of any number sent away none waits for more than a minute, nor all for the same moment', () => {
  const { enter, wait, made } = setUp()
  made('hung.example', 30_000)
  enter('hung.example')
  const waits = Array.from({ length: 5_000 }, () => wait('hung.example'))
  assert.ok(Math.max(...waits) <= 60_000)
  assert.ok(new Set(waits).size > 4_000)
})

test('a host in use is not forgotten among thousands that are not', () => {
  const { enter, wait, made } = setUp()
  enter('hung.example', 'bob')
  enter('hung.example', 'bob')
  for (let count = 0; count < 3_000; count++) made(`${count}.example`, 1)
  wait('hung.example', 'bob')
})
