import { open } from 'node:fs/promises'
import type { InputAudioTrack } from 'mediabunny'
import { findIndex } from '../source.ts'
import { allBoxes } from './boxes.ts'
import { codecName, Undecodable } from './decoder.ts'

const headBytes = 65_536
const webmStart = 0x1a45dfa3
/** The element of WebM that a track has only where it is encrypted, and the longest size that follows it. */
const contentEncryption = Buffer.from([0x50, 0x35])

/** Why a film or sound can't be used, in words for the customer, after an attempt that failed with `error`. */
export async function reasonFor(path: string, kind: 'video' | 'audio', error: unknown): Promise<string> {
  const noun = kind === 'video' ? 'video' : 'sound'
  const scheme = await encryptionOf(path).catch(() => undefined)
  if (scheme !== undefined) return `The ${noun} is encrypted (${scheme}): send it without encryption.`
  const coding = await waveCoding(path).catch(() => undefined)
  if (coding !== undefined) {
    return `The WAV file's coding ${coding} is not supported; PCM, floating point, A-law and μ-law are.`
  }
  if (error instanceof Undecodable) return error.message
  return `The ${noun} cannot be read: its file is damaged or incomplete.`
}

/** Throws Undecodable where no decoder is there for the track's codec. */
export async function expectAudioCodec(track: InputAudioTrack): Promise<void> {
  if (await track.canDecode()) return
  const codec = (await track.getCodec()) ?? (await track.getInternalCodecId())
  throw new Undecodable(`The sound's codec ${codecName(codec)} is not supported.`)
}

/** By what name a film or sound is encrypted; undefined where it isn't. */
async function encryptionOf(path: string): Promise<string | undefined> {
  await using file = await open(path)
  const { size } = await file.stat()
  const { buffer, bytesRead } = await file.read(Buffer.alloc(headBytes), 0, headBytes, 0)
  const head = buffer.subarray(0, bytesRead)
  if (head.length > 4 && head.readUInt32BE(0) === webmStart) {
    return head.includes(contentEncryption) ? 'WebM' : undefined
  }
  const index = await findIndex(file, size)
  if (index === undefined) return undefined
  const boxes = [...allBoxes(index.bytes, 0, index.bytes.length)]
  const scheme = boxes.find(({ type }) => type === 'schm')
  const isEncrypted = boxes.some(({ type }) => ['encv', 'enca', 'drmi', 'drms', 'drmt'].includes(type))
  if (!isEncrypted && scheme === undefined) return undefined
  return scheme === undefined ? 'DRM' : index.bytes.toString('latin1', scheme.content + 4, scheme.content + 8)
}

/** The number of a WAV file's coding where it is none that is decoded. */
async function waveCoding(path: string): Promise<string | undefined> {
  await using file = await open(path)
  const { buffer, bytesRead } = await file.read(Buffer.alloc(headBytes), 0, headBytes, 0)
  const head = buffer.subarray(0, bytesRead)
  const at = head.indexOf('fmt ')
  if (!/^(RIFF|RF64|BW64)$/.test(head.toString('latin1', 0, 4)) || at === -1 || at + 34 > head.length) {
    return undefined
  }
  const tag = head.readUInt16LE(at + 8)
  const coding = tag === 0xfffe ? head.readUInt16LE(at + 32) : tag
  return [1, 3, 6, 7].includes(coding) ? undefined : `0x${coding.toString(16).padStart(4, '0')}`
}
