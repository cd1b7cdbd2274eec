import type { SubmitFate } from './script.ts'

export type UpstreamName = 'kling' | 'fal'

/** One submit as the upstream saw it. Moments are places in one count of everything that was seen. */
export interface Post {
  at: number
  upstream: UpstreamName
  fate: SubmitFate
  /** When it was answered, whole, that the job is not taken. */
  refusedAt?: number
}

/** What an upstream has made, and is paid for, under one of our jobs. */
export interface Made {
  upstream: UpstreamName
  id: string
  isCancelled: boolean
  /** What it says that it has charged: undefined where it says nothing, null where it says it in no dollars. */
  billedMicroCents?: number | null
}

/** All that the upstreams know of one job. */
export interface JobTruth {
  jobId: string
  posts: Post[]
  /** Look-ups by our own id, and whether the answer was that there is no such job. */
  lookUps: { at: number; absent: boolean }[]
  made: Made[]
  /** Of the file that belongs to it. */
  sha256?: string
  bytes?: number
  fileRequests: number
  /** Callbacks, each as what it was and what it was answered. */
  callbacks: string[]
  /** All of this in words, with the time. */
  transcript: string[]
}

/** What the upstreams say at the end. */
export interface Truth {
  jobs: JobTruth[]
  /** How often each kind of fault was met. */
  faults: Record<string, number>
  /** Submits that were refused by the rules of the upstream itself. */
  unwanted: string[]
}

/**
 * What is wrong with how a job was sent; undefined if one task was made of it at most, and it was sent again only after each
 * earlier submit was refused, or a look-up said that there is none.
 */
export function sendingFault({ posts, lookUps, made }: JobTruth): string | undefined {
  if (made.length > 1) return `${made.length} tasks: ${made.map(({ upstream, id }) => `${upstream} ${id}`)}`
  for (const [index, post] of posts.entries()) {
    for (const earlier of posts.slice(0, index)) {
      const wasRefused = earlier.refusedAt !== undefined && earlier.refusedAt < post.at
      if (wasRefused) continue
      const wasAbsent = lookUps.some(({ at, absent }) => absent && at > earlier.at && at < post.at)
      if (!wasAbsent) return `submit ${index + 1} came while an earlier one was open`
      if (post.upstream !== earlier.upstream) {
        return `submit ${index + 1} went to ${post.upstream} after one was lost at ${earlier.upstream}`
      }
    }
  }
  return undefined
}
