import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { access, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { createCanvas, loadImage } from '@napi-rs/canvas'
import { inFolder } from './fixture.ts'
import { imageToVideo } from './image-to-video.ts'
import { readPicture, UnusableSource } from './picture.ts'
import { textToVideo } from './text-to-video.ts'

const media = join(import.meta.dirname, '../../../../shared/media')

function paint(painter: ReturnType<typeof imageToVideo>, width: number, height: number, progress: number) {
  const canvas = createCanvas(width, height)
  const context = canvas.getContext('2d', { alpha: false })
  context.fillStyle = '#ff00ff'
  context.fillRect(0, 0, width, height)
  painter.paint(context, progress, progress * 5)
  return canvas.data()
}

const cameras = [
  '',
  'zoom in',
  'zoom out',
  'pan left',
  'pan right',
  'tilt up',
  'tilt down',
  'the camera rolls',
  'orbit around it',
  'dolly in',
  'pan left and tilt up, rotating, zooming out, handheld',
]

test('no camera ever shows what lies beyond the picture', async () => {
  const picture = await loadImage(plainPicture(90, 60, '#00ff00'))
  for (const [width, height] of [
    [160, 90],
    [90, 160],
    [96, 96],
    [210, 90],
  ] as const) {
    for (const words of cameras) {
      const painter = imageToVideo(picture, words, width, height, 3)
      for (const progress of [0, 0.3, 0.7, 1]) {
        const pixels = paint(painter, width, height, progress)
        for (let at = 0; at < pixels.length; at += 4) {
          assert.ok(pixels[at + 1]! > pixels[at]!, `${words} ${width}x${height} at ${progress}`)
        }
      }
    }
  }
})

test('pictures of every shape, depth and size are animated', async (context) => {
  const names = [
    'checker_bilevel.png',
    'palette_color.png',
    'camera.png',
    'chelsea.png',
    'hubble_deep_field.jpg',
    'rocket.jpg',
  ]
  try {
    await access(media)
  } catch {
    context.skip('the test pictures are not here')
    return
  }
  for (const name of names) {
    const painter = imageToVideo(await readPicture(join(media, name)), 'zoom in', 160, 90, 1)
    const [first, last] = [paint(painter, 160, 90, 0), paint(painter, 160, 90, 1)]
    assert.notDeepEqual(first, last, name)
  }
  await assert.rejects(readPicture(join(media, 'truncated.jpg')), UnusableSource)
})

test('the orientation that a camera notes in a photograph is respected, in all eight ways', async () => {
  const canvas = createCanvas(60, 40)
  const context = canvas.getContext('2d')
  context.fillStyle = '#ff0000'
  context.fillRect(0, 0, 60, 40)
  context.fillStyle = '#0000ff'
  context.fillRect(0, 0, 30, 20)
  const jpeg = canvas.toBuffer('image/jpeg', 95)
  // Where the blue corner of the stored picture belongs on the screen, by orientation.
  const corners = ['', '00', '10', '11', '01', '00', '10', '11', '01']
  await inFolder(async (directory) => {
    for (let orientation = 1; orientation <= 8; orientation++) {
      const path = join(directory, 'photo.jpg')
      await writeFile(path, withOrientation(jpeg, orientation))
      const picture = await readPicture(path)
      const { width, height } = picture
      assert.deepEqual([width, height], orientation < 5 ? [60, 40] : [40, 60])
      const pixels = paint(imageToVideo(picture, 'static camera', width, height, 1), width, height, 0)
      const isBlue = (right: number, down: number): boolean => {
        const x = right === 0 ? 6 : width - 7
        const y = down === 0 ? 6 : height - 7
        return pixels[4 * (y * width + x) + 2]! > pixels[4 * (y * width + x)]!
      }
      const blue = ['00', '10', '01', '11'].filter((at) => isBlue(Number(at[0]), Number(at[1])))
      assert.deepEqual(blue, [corners[orientation]], `orientation ${orientation}`)
    }
  })
})

test('a picture that claims enormous dimensions is refused before it is decoded', async () => {
  await inFolder(async (directory) => {
    const png = Buffer.from(plainPicture(8, 8, '#fff'))
    png.writeUInt32BE(60_000, 16)
    png.writeUInt32BE(60_000, 20)
    const path = join(directory, 'bomb.png')
    await writeFile(path, png)
    await assert.rejects(readPicture(path), /50 megapixels/)
  })
})

test('the same request paints the same frames, another seed other ones', async () => {
  const hash = (painter: ReturnType<typeof textToVideo>): string => {
    const hasher = createHash('sha256')
    for (const progress of [0, 0.5, 1]) {
      hasher.update(paint(painter, 320, 180, progress))
    }
    return hasher.digest('hex')
  }
  const picture = await loadImage(plainPicture(90, 60, '#00ff00'))
  for (const prompt of [
    'Neon street in the rain',
    'Sea',
    'Snowfall in the mountains',
    'Forest in fog',
    'A cat in a room',
    'Space',
    'Desert',
    'Meadow',
  ]) {
    assert.equal(hash(textToVideo(prompt, 320, 180, 5)), hash(textToVideo(prompt, 320, 180, 5)), prompt)
    assert.notEqual(hash(textToVideo(prompt, 320, 180, 5)), hash(textToVideo(prompt, 320, 180, 6)), prompt)
  }
  assert.equal(
    hash(imageToVideo(picture, 'rain', 320, 180, 5)),
    hash(imageToVideo(picture, 'rain', 320, 180, 5)),
  )
})

function plainPicture(width: number, height: number, color: string): Buffer {
  const canvas = createCanvas(width, height)
  const context = canvas.getContext('2d')
  context.fillStyle = color
  context.fillRect(0, 0, width, height)
  return canvas.toBuffer('image/png')
}

/** Puts an EXIF block with nothing but the orientation in front of a JPEG's other segments. */
function withOrientation(jpeg: Buffer, orientation: number): Buffer {
  const entry = [0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0]
  const tiff = [0x49, 0x49, 42, 0, 8, 0, 0, 0, 1, 0, ...entry, 0, 0, 0, 0]
  const body = Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), Buffer.from(tiff)])
  const header = Buffer.from([0xff, 0xe1, 0, body.length + 2])
  return Buffer.concat([jpeg.subarray(0, 2), header, body, jpeg.subarray(2)])
}
