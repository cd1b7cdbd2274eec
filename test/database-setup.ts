// Runs once before all test files: one PostgreSQL with a migrated template that each file clones.
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { createPool } from '../src/db.ts'
import { migrate } from '../src/migrate.ts'
import { type EmbeddedPostgres, openEmbeddedPostgres } from '../src/postgres/embedded.ts'
import { connectionVariable, templateName } from './database.ts'

let dataDir: string
let postgres: EmbeddedPostgres

export async function globalSetup(): Promise<void> {
  dataDir = await mkdtemp(join(tmpdir(), 'filmgate-test-'))
  // as root, PostgreSQL runs as another user, who must be able to enter
  await chmod(dataDir, 0o755)
  const log = pino({ level: 'warn' }, pino.destination(2))
  postgres = await openEmbeddedPostgres({ dataDir, role: 'command', log })
  const admin = createPool(postgres.connection, { max: 1, onError() {} })
  await admin.query(`create database ${templateName}`)
  await admin.end()
  const template = createPool({ ...postgres.connection, database: templateName }, { max: 2, onError() {} })
  await migrate(template, log)
  await template.end()
  process.env[connectionVariable] = JSON.stringify(postgres.connection)
}

export async function globalTeardown(): Promise<void> {
  await postgres.close()
  await rm(dataDir, { recursive: true, force: true })
}
