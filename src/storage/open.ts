import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import { createLocalStorage } from './local.ts'
import type { Storage } from './storage.ts'

/** Opens the storage that the settings name: an S3-compatible store, or a folder of the data directory. */
export async function openStorage(
  { s3, dataDir }: Pick<Config, 's3' | 'dataDir'>,
  temporaryDirectory: string,
  clock: Clock,
): Promise<{ storage: Storage; close(): Promise<void> }> {
  if (s3 === undefined) {
    return { storage: await createLocalStorage({ directory: join(dataDir, 'files') }), async close() {} }
  }
  // only here: its library takes 33 MB that a local disk does not need
  const { createS3Storage } = await import('./s3.ts')
  const storage = await createS3Storage(s3, { temporaryDirectory, clock })
  return { storage, close: async () => storage.close() }
}
