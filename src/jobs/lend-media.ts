import { basename } from 'node:path'
import type { InputMedia, PrepareContext } from '../providers/provider.ts'
import { uploadTypes } from '../uploads/uploads.ts'
import type { JobContext } from './context.ts'

export type LendMedia = Pick<PrepareContext, 'publish' | 'picture'>

/** As long as the longest job may take at an upstream, and the line before it. */
const lentForMs = 24 * 3_600_000

/** How a job's input files get to its upstream. `folder` holds them while it is dispatched. */
export function lendMedia(
  { pool, storage, clock, isReachable, signUrl }: JobContext,
  jobId: string,
  _folder: string,
): LendMedia {
  return {
    async publish(file) {
      if (!isReachable) return undefined
      const key = keyOf(jobId, file)
      // before the file is there, so that none is without a row that leads to its end
      await pool.query('insert into lent_files (key, job_id) values ($1, $2) on conflict do nothing', [
        key,
        jobId,
      ])
      await storage.put(key, { file: file.path })
      return signUrl(`/files/${key}`, new Date(clock.now().getTime() + lentForMs))
    },
    async picture() {
      throw new Error('not yet')
    },
  }
}

function keyOf(jobId: string, { path, contentType }: InputMedia): string {
  const extension = uploadTypes[contentType]?.extension ?? 'bin'
  return `inputs/${jobId}/${basename(path).toLowerCase()}.${extension}`
}
