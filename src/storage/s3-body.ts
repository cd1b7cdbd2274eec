import { type Readable, Transform } from 'node:stream'
import { unavailable } from './s3-call.ts'

const silenceLimitMs = 30_000

/**
 * The body of an answer, which is over without an error only after exactly so many bytes. A store that falls silent
 * is given up; a reader that takes its time, as players do, is not.
 */
export function checkedBody(body: Readable, bytes: number, silenceMs = silenceLimitMs): Readable {
  let left = bytes
  const checked = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      left -= chunk.length
      timer.refresh()
      done(left < 0 ? unavailable('read', 'it sent more than it said') : null, chunk)
    },
    flush: (done) => done(left > 0 ? unavailable('read', 'the connection was cut') : null),
  })
  const timer = setTimeout(() => {
    if (checked.writableNeedDrain) timer.refresh()
    else checked.destroy(unavailable('read', 'it fell silent'))
  }, silenceMs)
  checked.once('close', () => {
    clearTimeout(timer)
    body.destroy()
  })
  // a body that is destroyed before its end says so in an error of its own, or not at all
  body.on('error', () => checked.destroy(unavailable('read', 'the connection was cut')))
  body.pipe(checked)
  return checked
}
