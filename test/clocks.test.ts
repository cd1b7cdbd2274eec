import { test } from 'node:test'
import * as clocks from './clocks.ts'

// the other way round, by libfaketime, and with the sweep of a worker that runs: test/clocks.long.ts
for (const apart of [
  { api: 2, worker: -2 },
  { api: -48, worker: 48 },
]) {
  test(`an API whose clock is ${apart.api} h off and a worker with ${apart.worker} h decide alike`, () =>
    clocks.decideAlike(apart))
}
