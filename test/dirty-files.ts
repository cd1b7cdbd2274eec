import { createCanvas } from '@napi-rs/canvas'
import {
  ALL_FORMATS,
  BufferSource,
  BufferTarget,
  Conversion,
  Input,
  MovOutputFormat,
  Mp4OutputFormat,
  Output,
  type OutputFormat,
  TextSubtitleSource,
} from 'mediabunny'
import { segment } from './oracle/jpeg.ts'
import { exif, xmp } from './oracle/scene.ts'
import { mp3 } from './oracle/sounds.ts'

/** What stands wherever a device can write of its owner: nobody but filmgate may see it. */
export const secret = 'SECRET 52.5200 N 13.4050 E'

/**
 * A photograph as a phone writes it: it lies on its side by EXIF, and has place, camera, comment, thumbnail and more beside
 * the picture. Upright, it is red in its upper left quarter and blue elsewhere.
 */
export function dirtyPicture({ width, height }: { width: number; height: number }): Buffer {
  const stored = createCanvas(height, width)
  const context = stored.getContext('2d')
  // orientation 6 is shown turned by a quarter to the right
  context.translate(0, width)
  context.rotate(-Math.PI / 2)
  context.fillStyle = 'blue'
  context.fillRect(0, 0, width, height)
  context.fillStyle = 'red'
  context.fillRect(0, 0, width / 2, height / 2)
  const jpeg = stored.toBuffer('image/jpeg', 100)
  const thumbnail = createCanvas(16, 16).toBuffer('image/jpeg')
  return Buffer.concat([
    jpeg.subarray(0, 2),
    segment(0xe1, 'Exif\0\0', exif(6), secret, thumbnail),
    segment(0xe1, 'http://ns.adobe.com/xap/1.0/\0', xmp(6), secret),
    segment(0xe2, 'MPF\0', secret),
    segment(0xed, 'Photoshop 3.0\0', secret),
    segment(0xfe, secret),
    jpeg.subarray(2),
    Buffer.from(secret),
  ])
}

/** A film as a phone writes it: with a track of what it noted from second to second, and place, device and description in each place that its container has for them. */
export async function dirtyFilm(clean: Buffer, container: 'mp4' | 'mov'): Promise<Buffer> {
  const format = container === 'mp4' ? new Mp4OutputFormat() : new MovOutputFormat()
  const bytes = await withTags(clean, format)
  const uuid = Buffer.from('be7acfcb97a942e89c71999491e3afac', 'hex')
  return Buffer.concat([bytes, box('uuid', uuid, xmp(1), secret), box('udta', box('©xyz', secret))])
}

/** A file written anew in this format, with a secret in each of its tags, and in a track of texts where it can have one. */
export async function withTags(clean: Buffer, format: OutputFormat): Promise<Buffer> {
  using input = new Input({ source: new BufferSource(clean), formats: ALL_FORMATS })
  const target = new BufferTarget()
  const output = new Output({ format, target })
  const cover = createCanvas(16, 16).toBuffer('image/png')
  const tags = {
    title: secret,
    comment: secret,
    artist: secret,
    images: [{ data: cover, mimeType: 'image/png', kind: 'coverFront' as const }],
    raw: { '©xyz': secret, '©mak': secret, 'com.apple.quicktime.location.ISO6709': secret, LOCATION: secret },
  }
  const conversion = await Conversion.init({ input, output, tags, showWarnings: false })
  if (format.getSupportedSubtitleCodecs().length === 0) {
    await conversion.execute()
    return Buffer.from(target.buffer!)
  }
  const texts = new TextSubtitleSource('webvtt')
  output.addSubtitleTrack(texts)
  const written = conversion.execute()
  await texts.add(`WEBVTT\n\n00:00.000 --> 00:00.500\n${secret}\n`)
  texts.close()
  await written
  return Buffer.from(target.buffer!)
}

function box(type: string, ...parts: (Buffer | string)[]): Buffer {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part as Buffer)))
  const head = Buffer.alloc(8)
  head.writeUInt32BE(content.length + 8)
  head.write(type, 4, 'latin1')
  return Buffer.concat([head, content])
}

/** An MP3 with a tag before and one behind it. */
export async function dirtySound(): Promise<Buffer> {
  const text = Buffer.from(`\0${secret}`)
  const frame = Buffer.concat([Buffer.from('TPE1'), Buffer.from([0, 0, 0, text.length, 0, 0]), text])
  const tag = Buffer.concat([Buffer.from('ID3'), Buffer.from([3, 0, 0, 0, 0, 0, frame.length]), frame])
  const behind = Buffer.alloc(128)
  behind.write(`TAG${secret}`, 'latin1')
  return Buffer.concat([tag, await mp3(), await mp3(), await mp3(), behind])
}
