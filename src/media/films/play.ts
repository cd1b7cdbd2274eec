import { type EncodedPacket, EncodedPacketSink, type InputVideoTrack, type VideoCodec } from 'mediabunny'
import { type FilmDecoder, type FilmFrame, openDecoder } from './decoder.ts'

/** Where a track begins to be shown: edit lists put what only the decoder needs before 0. */
export async function startOf(track: InputVideoTrack): Promise<number> {
  return Math.max(0, await track.getFirstTimestamp())
}

/**
 * The frames that are shown at these times, which must ascend: for each time the last frame that begins at it or before.
 * Only the frame that was given out last may be used, up to the next one. Throws Undecodable.
 */
export async function* framesOf(track: InputVideoTrack, seconds: number[]): AsyncGenerator<FilmFrame> {
  const sink = new EncodedPacketSink(track)
  let shown: FilmFrame | undefined
  let frames: AsyncGenerator<FilmFrame> | undefined
  let next: FilmFrame | undefined
  const progress = { sequenceNumber: -1 }
  const jump = async (key: EncodedPacket) => {
    await stop()
    frames = playFrom(track, sink, key, progress)
    next = (await frames.next()).value
  }
  const stop = async () => {
    await frames?.return(undefined)
    for (const frame of [shown, next]) close(frame)
    shown = next = undefined
  }
  try {
    for (const time of seconds) {
      const key = await keyBefore(sink, time)
      if (key === null) continue
      if (key.sequenceNumber > progress.sequenceNumber) await jump(key)
      while (next !== undefined && (next.seconds <= time || shown === undefined)) {
        close(shown)
        shown = next
        next = (await frames!.next()).value
      }
      if (shown !== undefined) yield shown
    }
  } finally {
    await stop()
  }
}

/** Every frame from the beginning on. Only the one that was given out last may be used. Throws Undecodable. */
export async function* allFramesOf(track: InputVideoTrack): AsyncGenerator<FilmFrame> {
  const sink = new EncodedPacketSink(track)
  const key = await keyBefore(sink, await startOf(track))
  if (key === null) return
  for await (const frame of playFrom(track, sink, key, { sequenceNumber: -1 })) {
    try {
      yield frame
    } finally {
      close(frame)
    }
  }
}

/** By the word of the stream, or where no packet looks like a key there, of the container. */
async function keyBefore(sink: EncodedPacketSink, time: number): Promise<EncodedPacket | null> {
  return (
    (await sink.getKeyPacket(time, { verifyKeyPackets: true })) ??
    (await sink.getKeyPacket(time)) ??
    (await sink.getFirstPacket())
  )
}

/** What it has read up to is told in `progress`. */
async function* playFrom(
  track: InputVideoTrack,
  sink: EncodedPacketSink,
  key: EncodedPacket,
  progress: { sequenceNumber: number },
): AsyncGenerator<FilmFrame> {
  const codec = await track.getCodec()
  const decoder = await openDecoder(track)
  try {
    for (let packet: EncodedPacket | null = key; packet !== null; packet = await sink.getNextPacket(packet)) {
      progress.sequenceNumber = packet.sequenceNumber
      if (refersBefore(packet, key, codec)) continue
      decoder.decode(packet)
      await decoder.ready()
      yield* taken(decoder)
    }
    await decoder.flush()
    yield* taken(decoder)
  } finally {
    decoder.close()
  }
}

function* taken(decoder: FilmDecoder): Generator<FilmFrame> {
  for (let frame = decoder.take(); frame !== undefined; frame = decoder.take()) yield frame
}

/**
 * Behind a key packet in the middle of a film come pictures that are shown before it and refer to ones before it: without
 * these they don't decode. HEVC marks them, and has others in that place that do.
 */
function refersBefore(packet: EncodedPacket, key: EncodedPacket, codec: VideoCodec | null): boolean {
  if (packet.timestamp >= key.timestamp) return false
  return codec === 'avc' || (codec === 'hevc' && isSkippedLeading(packet.data))
}

/** By the first picture in the packet; lengths of four bytes, as all files have. */
function isSkippedLeading(data: Uint8Array): boolean {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  for (let at = 0; at + 5 <= bytes.length; at += 4 + bytes.readUInt32BE(at)) {
    const type = (bytes[at + 4]! >> 1) & 0x3f
    if (type < 32) return type === 8 || type === 9
  }
  return false
}

function close(frame: FilmFrame | undefined): void {
  frame?.picture.close()
  frame?.alpha?.close()
}
