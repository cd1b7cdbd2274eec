import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import type { Db } from '../db.ts'
import { type InputMedia, NotSent, type PrepareContext } from '../providers/provider.ts'
import { withinTime } from '../time-limit.ts'
import { uploadTypes } from '../uploads/types.ts'
import type { JobContext } from './context.ts'

export type LendMedia = Pick<PrepareContext, 'publish'>

type Lending = Pick<JobContext, 'pool' | 'storage' | 'clock' | 'isReachable' | 'signUrl'>

/** As long as the longest job may take at an upstream, and the line before it. */
const lentForMs = 24 * 3_600_000
/** All files of one call. It leaves a submit, whose own time this is part of, enough to be answered. */
const lendLimitMs = 45_000

/** How a job's input files get to its upstream. */
export function lendMedia({ pool, storage, clock, isReachable, signUrl }: Lending, jobId: string): LendMedia {
  return {
    async publish(file) {
      if (!isReachable) return undefined
      const key = await keyOf(jobId, file)
      // before the file is there, so that none is without a row that leads to its end
      await noteLent(pool, key, jobId)
      // what a dispatch before has stored is the same
      if ((await storage.stat(key)) === undefined) await storage.put(key, { file: file.path })
      // the row may be gone meanwhile, if the job has ended
      await noteLent(pool, key, jobId)
      return signUrl(`/files/${key}`, new Date(clock.now().getTime() + lentForMs))
    },
  }
}

/**
 * The same for one call of a provider: within its time, and throwing only NotSent. `confirm` throws
 * if nothing may be sent any more.
 */
export function lendWithin(
  lend: LendMedia,
  confirm: () => Promise<void> = async () => {},
  limitMs = lendLimitMs,
): LendMedia {
  const endsAt = performance.now() + limitMs
  const inTime = async <T>(call: () => Promise<T>): Promise<T> => {
    try {
      return await withinTime(Math.max(1, Math.ceil(endsAt - performance.now())), async () => {
        const lent = await call()
        await confirm()
        return lent
      })
    } catch (error) {
      throw new NotSent(error)
    }
  }
  return { publish: (file) => inTime(() => lend.publish(file)) }
}

/** By its content, so that what is at a URL that was given away never changes. */
async function keyOf(jobId: string, { path, contentType }: InputMedia): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return `inputs/${jobId}/${hash.digest('hex')}.${uploadTypes[contentType]?.extension ?? 'bin'}`
}

/** Its time counts from the last lending. */
async function noteLent(db: Db, key: string, jobId: string): Promise<void> {
  await db.query({
    name: 'lent-file-note',
    text: `insert into lent_files (key, job_id) values ($1, $2) on conflict (key) do update set created_at = filmgate_now()`,
    values: [key, jobId],
  })
}
