import { openEmbeddedPostgres } from './embedded.ts'
import type { Role } from './session.ts'

// Opens the data dir named on the command line, tells the test, and closes when told to.
const [dataDir = '', role = ''] = process.argv.slice(2)
const log = { info() {}, warn() {} }
try {
  const database = await openEmbeddedPostgres({ dataDir, role: role as Role, log })
  process.send?.({ opened: { connection: database.connection, firstStart: database.firstStart } })
  process.once('message', async () => {
    await database.close()
    process.disconnect()
  })
} catch (error) {
  const { name, message } = error as Error
  process.send?.({ failed: name, message }, () => process.exit(1))
}
