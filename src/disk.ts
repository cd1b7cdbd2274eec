import { statfs } from 'node:fs/promises'
import { sizeText } from './size.ts'

/** How much room is left: below twice the reserve it is low, below the reserve nothing new is taken. */
export type Room = 'ok' | 'low' | 'none'

export interface Disk {
  /** As it was found last. */
  room(): Room
  /** Looks now. */
  look(): Promise<Room>
  stop(): void
}

interface DiskLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

const lookEveryMs = 5_000
const sayAgainMs = 60_000

/**
 * Watches the free space of the disk that a folder lies on. What is found is said when it changes, and each minute while
 * there is no room. A disk that can't be looked at counts as it was found last.
 */
export async function watchDisk(folder: string, reserveBytes: number, log: DiskLog): Promise<Disk> {
  let room: Room = 'ok'
  let saidAt = Number.NEGATIVE_INFINITY

  async function look(): Promise<Room> {
    const { bavail, bsize } = await statfs(folder)
    const freeBytes = bavail * bsize
    const found = freeBytes < reserveBytes ? 'none' : freeBytes < 2 * reserveBytes ? 'low' : 'ok'
    const isDue = found === 'none' && performance.now() - saidAt >= sayAgainMs
    if (found !== room || isDue) say(found, freeBytes)
    room = found
    return room
  }

  function say(found: Room, freeBytes: number): void {
    saidAt = performance.now()
    const fields = { folder, free: sizeText(freeBytes), reserve: sizeText(reserveBytes) }
    if (found === 'none') {
      log.error(
        fields,
        'the disk is nearly full: submits and uploads are refused and renders wait until there is room',
      )
    } else if (found === 'low') log.warn(fields, 'the disk is filling up: free some space, or give it more')
    else log.info(fields, 'the disk has room again')
  }

  const lookAgain = () =>
    look().catch((error) => log.warn({ err: error, folder }, 'the disk cannot be looked at'))
  await lookAgain()
  const timer = setInterval(lookAgain, lookEveryMs).unref()
  return { room: () => room, look, stop: () => clearInterval(timer) }
}

/** True if an error says that a disk or its quota is full; also of one that came from another thread as text. */
export function isNoSpace(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'NO_SPACE') return true
    if (/\b(ENOSPC|EDQUOT)\b/.test(message)) return true
  }
  return false
}
