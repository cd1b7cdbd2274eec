import { setTimeout as sleep } from 'node:timers/promises'
import { pick, type Random } from '../src/providers/sandbox/random.ts'
import type { Gateway } from './gateways.ts'
import type { Postgres } from './postgres.ts'

export interface Misfortunes {
  kills: number
  drains: number
  postgresRestarts: number
  /** For how long PostgreSQL is gone; 0 leaves it there. */
  postgresAwayMs: number
  storageFullMs: number
  /** For how long Kling has no credit of ours. */
  creditGoneMs: number
  pauses: number
  clockStepMs: number
}

interface Scene {
  gateways: Gateway[]
  postgres: Postgres
  random: Random
  say(text: string): void
  /** While it is away no server starts. */
  setAway(isAway: boolean): void
  setCredit(hasCredit: boolean): void
}

const pauseMs = 22_000

/** Lets all of it happen within the time given; what has been begun is brought to its end. */
export async function befall(
  scene: Scene,
  { totalMs, ...planned }: Misfortunes & { totalMs: number },
): Promise<void> {
  const { gateways, random } = scene
  const acts: { at: number; run: () => Promise<void> | void }[] = []
  const plan = (at: number, run: () => Promise<void> | void) => acts.push({ at: at * totalMs, run })
  // spread, and not where PostgreSQL is gone: there is nothing that a kill could cut in two
  for (let kill = 0; kill < planned.kills; kill++) {
    plan((kill + random()) / planned.kills, async () => (await oneThatIsUp(gateways, random)).kill())
  }
  for (let drain = 0; drain < planned.drains; drain++) {
    plan((drain + random()) / planned.drains, async () => (await oneThatIsUp(gateways, random)).drain())
  }
  for (let restart = 0; restart < planned.postgresRestarts; restart++) {
    plan((restart + 0.3) / planned.postgresRestarts, () => restartPostgres(scene, restart % 2 === 0))
  }
  for (let pause = 0; pause < planned.pauses; pause++) {
    plan((pause + 0.6) / planned.pauses, () => pauseOne(scene))
  }
  if (planned.clockStepMs > 0) plan(0.1, () => stepClock(scene, planned.clockStepMs))
  if (planned.storageFullMs > 0) plan(0.25, () => fillStorage(scene, planned.storageFullMs))
  if (planned.creditGoneMs > 0) plan(0.4, () => takeCreditAway(scene, planned.creditGoneMs))
  if (planned.postgresAwayMs > 0) plan(0.55, () => takePostgresAway(scene, planned.postgresAwayMs))

  const began = performance.now()
  const running: Promise<void>[] = []
  for (const { at, run } of acts.sort((one, other) => one.at - other.at)) {
    await sleep(Math.max(0, began + at - performance.now()))
    running.push(Promise.resolve(run()))
  }
  await sleep(Math.max(0, began + totalMs - performance.now()))
  await Promise.all(running)
}

async function oneThatIsUp(gateways: Gateway[], random: Random): Promise<Gateway> {
  for (;;) {
    const up = gateways.filter((gateway) => gateway.isUp)
    if (up.length > 0) return pick(random, up)
    await sleep(20)
  }
}

async function restartPostgres({ postgres, say, setAway }: Scene, isFast: boolean): Promise<void> {
  const how = isFast ? 'fast' : 'immediate'
  say(`PostgreSQL is restarted (${how})`)
  setAway(true)
  await postgres.stop(how)
  await postgres.start()
  setAway(false)
}

async function takePostgresAway({ postgres, say, setAway }: Scene, ms: number): Promise<void> {
  say(`PostgreSQL is gone for ${ms / 1000} s`)
  setAway(true)
  await postgres.stop('immediate')
  await sleep(ms)
  await postgres.start()
  setAway(false)
  say('PostgreSQL is back')
}

async function fillStorage({ gateways, say }: Scene, ms: number): Promise<void> {
  say(`the storage is full for ${ms / 1000} s`)
  for (const gateway of gateways) gateway.tell({ isStorageFull: true })
  await sleep(ms)
  for (const gateway of gateways) gateway.tell({ isStorageFull: false })
  say('the storage has room again')
}

async function takeCreditAway({ say, setCredit }: Scene, ms: number): Promise<void> {
  say(`Kling has no credit for ${ms / 1000} s`)
  setCredit(false)
  await sleep(ms)
  setCredit(true)
  say('Kling has credit again')
}

function stepClock({ gateways, say }: Scene, ms: number): void {
  say(`the clock steps back by ${ms / 1000} s`)
  for (const gateway of gateways) gateway.tell({ clockOffsetMs: -ms })
}

/** Longer than it takes the others to think that it is dead. */
async function pauseOne({ gateways, random, say }: Scene): Promise<void> {
  const paused = pick(random, gateways)
  say(`${paused.url} is paused for ${pauseMs / 1000} s`)
  await paused.pause(pauseMs)
}
