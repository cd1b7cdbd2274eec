import { ApiError } from '../errors.ts'

// On its way to an S3 store each takes up to 24 MB of memory, and on a local disk the room of a part beside the last one.
const placesPerUser = 20
const placesInAll = 100
const retryAfter = 5

const taken = new Map<string, number>()

/**
 * A place among the uploads that are being put to this process, until it is given back; throws RATE_LIMIT_EXCEEDED where
 * there is none. One link may be put by any number of requests at once, which no count of links or bytes stored sees.
 */
export function takePlace(userId: string): () => void {
  const own = taken.get(userId) ?? 0
  const all = taken.values().reduce((sum, places) => sum + places, 0)
  if (own >= placesPerUser || all >= placesInAll) {
    const whose =
      own >= placesPerUser ? `The account puts ${own} files` : 'As many files are being put as can be'
    const message = `${whose} at this moment: put this one again when another has ended.`
    throw new ApiError('RATE_LIMIT_EXCEEDED', message, { retryAfter })
  }
  taken.set(userId, own + 1)
  return () => {
    const left = taken.get(userId)! - 1
    if (left === 0) taken.delete(userId)
    else taken.set(userId, left)
  }
}
