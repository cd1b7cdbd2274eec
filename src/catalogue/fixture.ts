import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after } from 'node:test'

/** Where the one model of the good files lies. */
export const modelPath = 'acme/painter/text-to-video.json'

/** The files of a catalogue of one model, with nothing wrong in them. */
const goodFiles = () => ({
  'providers.json': {
    acme: {
      name: 'Acme',
      description: 'A provider of this test alone.',
      website: 'https://acme.example',
      color: '#123456',
    },
  } as Record<string, unknown>,
  'capabilities.json': {
    'text-to-video': {
      name: 'Text to Video',
      label: 'Text → Video',
      category: 'video',
      description: 'Makes a video of a prompt.',
      icon: 'film',
      color: '#123456',
      order: 1,
    },
  } as Record<string, unknown>,
  'categories.json': {
    video: { name: 'Video', description: 'Models that make moving pictures.' },
    image: { name: 'Image', description: 'Models that make still pictures.' },
    audio: { name: 'Audio', description: 'Models that make speech or music.' },
    text: { name: 'Text', description: 'Models that write or judge text.' },
  } as Record<string, unknown>,
  [modelPath]: {
    name: 'Painter',
    description: 'A model of this test alone.',
    tags: ['video'],
    processingSeconds: 60,
    pricing: { baseCostMicroCents: 1000, unit: 'per_second', factors: { size: { s: '1', l: '2.5' } } },
    input: {
      type: 'object',
      required: ['prompt'],
      additionalProperties: false,
      properties: {
        prompt: { type: 'string', minLength: 1, description: 'What to paint.' },
        size: { type: 'string', enum: ['s', 'l'], default: 's', description: 'How large it is.' },
      },
    },
    example: { prompt: 'A house', size: 'l' },
    versions: [{ version: 'v1.0', status: 'active' }],
    // biome-ignore lint/suspicious/noExplicitAny: the tests spoil it in every way
  } as any,
})

const root = mkdtempSync(join(tmpdir(), 'filmgate-catalogue-'))
after(() => rmSync(root, { recursive: true, force: true }))
let folders = 0

export type Change = (files: ReturnType<typeof goodFiles> & Record<string, unknown>) => unknown

/** Writes the good files, changed, into a folder of their own. Text is written as it is. */
export function writeChanged(change: Change): string {
  const files = goodFiles()
  change(files)
  const directory = join(root, String(++folders))
  for (const [path, content] of Object.entries(files)) {
    if (content === undefined) continue
    const file = join(directory, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
  }
  return directory
}
