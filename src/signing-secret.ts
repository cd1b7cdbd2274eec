import { hkdfSync, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError } from './config.ts'
import type { Db } from './db.ts'

/**
 * The secret that signs file URLs, quotes and callbacks. It lies in the database, where the first process
 * puts it and all others find it. One that an older version left in the data folder is taken over: its links stay good.
 */
export async function loadSigningSecret(db: Db, dataDir: string): Promise<string> {
  const kept = await readSecret(db)
  if (kept !== undefined) return kept
  const secret = (await secretOfFile(dataDir)) ?? randomBytes(32).toString('base64url')
  await db.query("insert into server_secrets (name, secret) values ('signing', $1) on conflict do nothing", [
    secret,
  ])
  // of processes that start together one has won
  return (await readSecret(db))!
}

/** A secret for one purpose alone, made from the signing secret: what it signs is good for nothing else. */
export function deriveSecret(secret: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `filmgate ${purpose}`, 32))
}

async function readSecret(db: Db): Promise<string | undefined> {
  const { rows } = await db.query<{ secret: string }>(
    "select secret from server_secrets where name = 'signing'",
  )
  return rows[0]?.secret
}

async function secretOfFile(dataDir: string): Promise<string | undefined> {
  const path = join(dataDir, 'signing-secret')
  const secret = await readFile(path, 'utf8').then(
    (text) => text.trim(),
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    },
  )
  if (secret === undefined || /^[\w-]{43}$/.test(secret)) return secret
  throw new ConfigError(`FILMGATE_DATA_DIR holds a broken ${path}: remove it to have a new one made`)
}
