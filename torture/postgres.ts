import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Logger } from 'pino'
import { openEmbeddedPostgres } from '../src/postgres/embedded.ts'
import { findPlace, prepareSocketDir } from '../src/postgres/place.ts'
import { livePostmaster, setAsideStaleLocks, startPostmaster } from '../src/postgres/postmaster.ts'

/** How PostgreSQL is told to stop: it ends its sessions and writes all down, or dies on the spot. */
export type Stop = 'fast' | 'immediate'

export interface Postgres {
  url: string
  stop(how: Stop): Promise<void>
  start(): Promise<void>
}

/** A PostgreSQL of the harness's own, on the binaries that the product brings, which it can take away and give back. */
export async function startPostgres(dataDir: string, log: Logger): Promise<Postgres> {
  // the first start makes the cluster, the role and the database
  const first = await openEmbeddedPostgres({ dataDir, role: 'command', log })
  await first.close()
  const place = await findPlace(dataDir)
  const { host, port, user, password, database } = first.connection
  const url = `postgres://${user}:${encodeURIComponent(String(password))}@/${database}?host=${encodeURIComponent(String(host))}&port=${port}`

  let running: number | undefined
  // a harness that is broken off leaves none behind
  process.once('exit', () => running && process.kill(running, 'SIGQUIT'))
  const start = async () => {
    await prepareSocketDir(place)
    for (;;) {
      await setAsideStaleLocks(place)
      const postmaster = await startPostmaster(place)
      while (postmaster.ended() === undefined) {
        running = await livePostmaster(place.cluster)
        if (await answers(url)) return
        await sleep(50)
      }
      // its predecessor was not quite gone
      await sleep(200)
    }
  }
  await start()
  return {
    url,
    start,
    async stop(how) {
      const pid = await livePostmaster(place.cluster)
      if (pid === undefined) return
      process.kill(pid, how === 'fast' ? 'SIGINT' : 'SIGQUIT')
      while ((await livePostmaster(place.cluster)) !== undefined) await sleep(20)
      running = undefined
    },
  }
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('select 1')
    return true
  } catch {
    return false
  } finally {
    const ended = once(client, 'end')
    await client.end().then(
      () => ended,
      () => {},
    )
  }
}
