import { setTimeout as sleep } from 'node:timers/promises'
import { type Clients, type Experience, live } from './client.ts'
import { orderOf } from './orders.ts'
import type { Temper } from './script.ts'

/** More than this under way at once only makes a line. */
const mostUnderWay = 300

export interface Load {
  /** Places so many orders a second for a while; answers their numbers. */
  run(seconds: number, temper: Temper): Promise<Set<number>>
  underWay(): number
  /** Once every client knows what it wants to know. */
  finish(): Promise<Experience[]>
}

/** Customers who go on whatever happens to the servers. */
export function createLoad(clients: Clients, options: { seed: number; rate: number }): Load {
  const lives: Promise<Experience>[] = []
  let underWay = 0
  return {
    async run(seconds, temper) {
      const numbers = new Set<number>()
      for (
        const end = performance.now() + seconds * 1000;
        performance.now() < end;
        await sleep(1000 / options.rate)
      ) {
        if (underWay >= mostUnderWay) continue
        const order = orderOf(options.seed, lives.length + 1, temper)
        numbers.add(order.number)
        underWay++
        lives.push(live(clients, order).finally(() => underWay--))
      }
      return numbers
    },
    underWay: () => underWay,
    finish: () => Promise.all(lives),
  }
}
