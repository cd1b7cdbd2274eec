import { suite, test } from 'node:test'
import { decideAlike } from './clocks.ts'
import { hasLibfaketime, type Shifter } from './shifted-processes.ts'

const skip = hasLibfaketime ? false : 'libfaketime is not installed'
const shifters: [Shifter, { skip?: string | false }][] = [
  ['preload', {}],
  ['libfaketime', { skip }],
]

// each pair waits for a minute, until the worker sweeps
suite('processes whose clocks are apart', { concurrency: 2 }, () => {
  for (const [shifter, options] of shifters) {
    for (const [api, worker] of [
      [-2, 2],
      [48, -48],
      [2, -48],
      [-48, -2],
    ] as const) {
      test(
        `an API ${api} h and a worker ${worker} h off (${shifter}) decide alike, also in the sweep`,
        options,
        () => decideAlike({ api, worker, shifter }, { isLong: true }),
      )
    }
  }
})
