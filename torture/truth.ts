import { accepting, refusing, type SubmitFate } from './script.ts'

/** One submit as the upstream saw it. Moments are places in one count of everything that it saw. */
export interface Post {
  at: number
  fate: SubmitFate | 'duplicate'
  /** When it was answered as not taken. */
  refusedAt?: number
}

/** All that the upstream knows of one job of a client. */
export interface JobTruth {
  clientId: string
  order: number
  posts: Post[]
  /** Look-ups by the client's id, and whether the answer was that there is no such job. */
  lookUps: { at: number; absent: boolean }[]
  /** Undefined if it never took the job. */
  upstreamId?: string
  createdAt?: number
  cancelled: boolean
  asked: number
  /** Of the file that belongs to it. */
  sha256?: string
  bytes?: number
  fileRequests: number
  filesServed: number
  callbacksSent: number
  /** Callbacks that should have been refused and were not. */
  forgedTaken: number
  /** All of this in words, with the time. */
  transcript: string[]
}

/** What the upstream says at the end. */
export interface Truth {
  jobs: JobTruth[]
  /** How often each kind of fault was met. */
  faults: Record<string, number>
}

/**
 * What is wrong with how a job was sent; undefined if it was sent at most once, or again only after the upstream had
 * refused it or said that it has none.
 */
export function sendingFault({ posts, lookUps }: JobTruth): string | undefined {
  for (const [index, post] of posts.entries()) {
    if (post.fate === 'duplicate') return `submit ${index + 1} came though the upstream had the job`
    for (const earlier of posts.slice(0, index)) {
      const wasRefused = earlier.refusedAt !== undefined && earlier.refusedAt < post.at
      const wasAbsent = lookUps.some(({ at, absent }) => absent && at > earlier.at && at < post.at)
      if (!wasRefused && !wasAbsent) return `submit ${index + 1} came while an earlier one was open`
    }
  }
  return undefined
}

const takes = new Set<string>(accepting)
const refuses = new Set<string>(refusing)
export const isTaken = (fate: SubmitFate) => takes.has(fate)
export const isRefused = (fate: SubmitFate) => refuses.has(fate)
