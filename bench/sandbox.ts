import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Canvas, createCanvas } from '@napi-rs/canvas'
import { renderFilm } from '../src/providers/sandbox/render.ts'
import { readRenderRequest } from '../src/providers/sandbox/request.ts'
import { textToVideo } from '../src/providers/sandbox/text-to-video.ts'

export interface SandboxFigures {
  kind: 'image-to-video' | 'text-to-video'
  filmSeconds: number
  /** Seconds of film per second of one core, drawing, encoding and muxing included. */
  perCoreSecond: number
  /** Seconds of film per second on the wall; more than the above where encoder and drawing run side by side. */
  perWallSecond: number
}

const prompts = {
  'image-to-video': 'The cat slowly turns its head and blinks',
  'text-to-video': 'A neon-lit Tokyo street at night with rain reflecting the storefront signs',
}

/** Renders two 720p films of five seconds and says how much film one core makes. */
export async function benchSandbox(): Promise<SandboxFigures[]> {
  const directory = await mkdtemp(join(tmpdir(), 'sandbox-bench-'))
  try {
    // One second first: fonts, native libraries and the compiler are warm in a server too.
    await measure('text-to-video', null, '1', directory)
    const picture = paintedPicture()
    return [
      await measure('image-to-video', picture, '5', directory),
      await measure('text-to-video', null, '5', directory),
    ]
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function measure(
  kind: SandboxFigures['kind'],
  picture: Canvas | null,
  duration: string,
  directory: string,
): Promise<SandboxFigures> {
  const reading = readRenderRequest({
    model: { slug: `bench/sandbox/${kind}`, capability: kind },
    input: { prompt: prompts[kind], duration, has_sound: 'true' },
    media: {},
  })
  if ('problem' in reading || reading.request.type !== 'video') {
    throw new Error(JSON.stringify(reading))
  }
  const sources = picture === null ? [] : [{ use: 'scene' as const, canvas: picture, footage: null }]
  const cpuBefore = process.cpuUsage()
  const wallBefore = performance.now()
  await renderFilm(reading.request, sources, join(directory, `${kind}.mp4`), () => false)
  const cpu = process.cpuUsage(cpuBefore)
  const filmSeconds = Number(duration)
  return {
    kind,
    filmSeconds,
    perCoreSecond: (filmSeconds * 1_000_000) / (cpu.user + cpu.system),
    perWallSecond: (filmSeconds * 1000) / (performance.now() - wallBefore),
  }
}

/** A photograph's worth of detail, without a photograph in the repository. */
function paintedPicture(): Canvas {
  const canvas = createCanvas(1600, 1200)
  const scene = textToVideo('Snowy mountains at dawn above a lake', 1600, 1200, 1)
  scene.paint(canvas.getContext('2d'), 0.5, 1)
  return canvas
}

if (import.meta.main) {
  console.log('sandbox, 720p with sound: seconds of film per second')
  for (const { kind, perCoreSecond, perWallSecond } of await benchSandbox()) {
    console.log(
      `  ${kind.padEnd(16)} of one core ${perCoreSecond.toFixed(2)}   on the wall ${perWallSecond.toFixed(2)}`,
    )
  }
}
