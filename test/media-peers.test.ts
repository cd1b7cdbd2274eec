import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { createCanvas, loadImage } from '@napi-rs/canvas'
import { differences } from './oracle/compare.ts'
import { pictureCases } from './oracle/pictures.ts'
import type { PictureCase } from './oracle/scene.ts'

const run = promisify(execFile)
const folder = await mkdtemp(join(tmpdir(), 'filmgate-peers-'))
after(() => rm(folder, { recursive: true }))
const has = (program: string, ...args: string[]) => spawnSync(program, args).status === 0

const pillow = `
import sys
from PIL import Image, ImageOps
for name in sys.argv[1:]:
    try:
        picture = ImageOps.exif_transpose(Image.open(name))
        # 16 bits of grey it would cut off at 255
        if picture.mode.startswith('I'):
            picture = picture.convert('I').point(lambda value: value / 257).convert('L')
        picture.convert('RGBA').save(name + '.png')
    except Exception as error:
        open(name + '.txt', 'w').write(str(error))
`

async function compare(expected: PictureCase, path: string): Promise<string[]> {
  const bytes = await readFile(`${path}.png`).catch(() => undefined)
  if (bytes === undefined) return [`${expected.name}: not decoded`]
  const image = await loadImage(bytes)
  const canvas = createCanvas(image.width, image.height)
  canvas.getContext('2d').drawImage(image, 0, 0)
  return differences(expected, canvas)
}

const withoutPillow = !has('python3', '-c', 'import PIL') && "Python's Pillow is not there"
test('Pillow sees the pictures of the oracle as they were made', { skip: withoutPillow }, async () => {
  const cases = (await pictureCases()).filter(({ unlikeOthers }) => unlikeOthers === undefined)
  const paths = await Promise.all(
    cases.map(async ({ bytes }, index) => {
      const path = join(folder, `picture-${index}`)
      await writeFile(path, bytes)
      return path
    }),
  )
  await run('python3', ['-c', pillow, ...paths])
  const wrong = await Promise.all(cases.map((expected, index) => compare(expected, paths[index]!)))
  assert.deepEqual(wrong.flat(), [])
})
