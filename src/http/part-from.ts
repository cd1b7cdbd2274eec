import type { Socket } from 'node:net'

/**
 * Sends what is due, and the end; what still comes is read and thrown away for a while. Closed at once, with bytes that
 * nobody has read, the connection would be reset, and the client would lose the answer.
 */
export function partFrom(socket: Socket, ms: number): void {
  if (socket.destroyed) return
  takeFromParser(socket)
  socket.on('data', () => {})
  socket.on('error', () => {})
  socket.resume()
  socket.end()
  const timer = setTimeout(() => socket.destroy(), ms)
  socket.once('close', () => clearTimeout(timer))
}

/** From now on nothing that comes is read as HTTP. */
export function takeFromParser(socket: Socket): void {
  socket.removeAllListeners('data')
  socket.removeAllListeners('end')
}
