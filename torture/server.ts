import { createLog } from '../src/cli/output.ts'
import { loadConfig } from '../src/config.ts'
import { serve } from '../src/serve.ts'
import { type Storage, StorageError } from '../src/storage/storage.ts'

// The real server as its settings have it, on a machine whose clock can be set and whose storage can be full.

/** What the harness tells a server, at its start and later. */
export interface Weather {
  clockOffsetMs: number
  isStorageFull: boolean
}

/** As on a disk without room: what is there can be read, nothing can be added. */
function fillable(storage: Storage): Storage {
  const unlessFull = () => {
    if (weather.isStorageFull) throw new StorageError('NO_SPACE', 'the disk is full')
  }
  return {
    ...storage,
    async put(...written) {
      unlessFull()
      return storage.put(...written)
    },
    async ready() {
      unlessFull()
      await storage.ready()
    },
  }
}

const { port, ...atStart } = JSON.parse(process.argv[2] ?? '{}') as { port: string } & Weather
const weather: Weather = atStart
process.on('message', (news) => Object.assign(weather, news))
process.on('disconnect', () => process.exit(1))

const config = loadConfig(process.env, { port })
const log = await createLog(config)
const RealDate = Date
const nowMs = () => RealDate.now() + weather.clockOffsetMs
globalThis.Date = new Proxy(RealDate, {
  construct: (target, values, newTarget) =>
    Reflect.construct(target, values.length === 0 ? [nowMs()] : values, newTarget),
  get: (target, name) => (name === 'now' ? nowMs : Reflect.get(target, name)),
})
const onLost = (error: Error) => {
  log.fatal({ err: error }, 'the database is gone')
  process.exit(1)
}
const serving = serve(config, log, onLost, { wrapStorage: fillable })
// it may be told to stop while it starts
process.once('SIGTERM', async () => {
  await serving.then((server) => server.stop()).finally(() => process.exit(0))
})
try {
  await serving
  process.send?.('ready')
} catch (error) {
  log.error({ err: error }, 'the server does not start')
  process.exit(1)
}
