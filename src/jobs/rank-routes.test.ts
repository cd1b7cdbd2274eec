import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type RouteState, rankRoutes, successRate } from './rank-routes.ts'

function route(upstream: string, state: Partial<RouteState> = {}): RouteState {
  return {
    upstream,
    model: 'a-model',
    hasRefused: false,
    hasJustFailed: false,
    waitMs: 0,
    costMicroCents: 100_000n,
    succeeded: 0,
    failed: 0,
    medianMs: 60_000,
    ...state,
  }
}

const inOrder = (...states: RouteState[]) => rankRoutes(states).map(({ state }) => state.upstream)
const standings = (...states: RouteState[]) => rankRoutes(states).map(({ standing }) => standing)

test('among equals the order of the catalogue counts', () => {
  assert.deepEqual(inOrder(route('first'), route('second'), route('third')), ['first', 'second', 'third'])
})

test('a route that is 4 % cheaper does not pass the one before it, one that is 6 % cheaper does', () => {
  assert.deepEqual(inOrder(route('first'), route('second', { costMicroCents: 96_000n })), ['first', 'second'])
  assert.deepEqual(inOrder(route('first'), route('second', { costMicroCents: 94_000n })), ['second', 'first'])
})

test('failures weigh more than price, and few of them little', () => {
  const cheap = route('cheap', { costMicroCents: 70_000n, succeeded: 10, failed: 10 })
  assert.deepEqual(inOrder(cheap, route('sound', { succeeded: 20 })), ['sound', 'cheap'])
  assert.deepEqual(inOrder({ ...cheap, succeeded: 0, failed: 1 }, route('sound')), ['cheap', 'sound'])
})

test('one that takes four times as long counts as twice as dear', () => {
  const slow = route('slow', { medianMs: 240_000 })
  assert.deepEqual(inOrder(slow, route('fast', { costMicroCents: 180_000n })), ['fast', 'slow'])
  assert.deepEqual(inOrder(slow, route('fast', { costMicroCents: 200_000n })), ['slow', 'fast'])
})

test('a price that is not known counts as the dearest that is, and none at all decides nothing', () => {
  const unknown = route('unknown', { costMicroCents: undefined })
  assert.deepEqual(inOrder(unknown, route('cheap', { costMicroCents: 90_000n }), route('dear')), [
    'cheap',
    'unknown',
    'dear',
  ])
  assert.deepEqual(inOrder(unknown, { ...unknown, upstream: 'another' }), ['unknown', 'another'])
})

test('what can take the job now comes before what may soon, and that before what can not', () => {
  const states = [
    route('unfit', { unfit: { path: 'seed', message: 'is not possible' } }),
    route('refused', { hasRefused: true }),
    route('suspended', { suspended: { cause: 'no credit', retryMs: 1_000 } }),
    route('waiting', { waitMs: 500 }),
    route('ready', { costMicroCents: 900_000n }),
  ]
  assert.deepEqual(inOrder(...states), ['ready', 'waiting', 'suspended', 'refused', 'unfit'])
  assert.deepEqual(standings(...states), ['ready', 'waiting', 'suspended', 'refused', 'unfit'])
})

test('of those that are ready one that did not take the job a moment ago comes last', () => {
  assert.deepEqual(
    inOrder(route('first', { hasJustFailed: true }), route('dear', { costMicroCents: 900_000n })),
    ['dear', 'first'],
  )
})

test('a closure whose time is over is tried again', () => {
  assert.deepEqual(standings(route('tried', { suspended: { cause: 'no credit', retryMs: 0 } })), ['ready'])
})

test('each route says why it stands where it does', () => {
  const [ready, waiting, suspended] = rankRoutes([
    route('ready'),
    route('waiting', { waitMs: 1_500 }),
    route('suspended', { suspended: { cause: 'the key was refused', retryMs: 60_000 } }),
  ]).map(({ why }) => why)
  assert.equal(ready, 'ready')
  assert.match(waiting!, /asked again in 2 s/)
  assert.match(suspended!, /the key was refused; tried again in 60 s/)
})

test('the success rate of a route that nothing is known of is 0.9, and goes to what is seen', () => {
  assert.equal(successRate({ succeeded: 0, failed: 0 }), 0.9)
  assert.ok(successRate({ succeeded: 0, failed: 50 }) < 0.2)
  assert.ok(successRate({ succeeded: 50, failed: 0 }) > 0.98)
})
