import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { InputMedia, MediaTypes, Provider } from '../providers/provider.ts'
import type { JobContext } from './context.ts'
import type { Failure } from './settle.ts'

type Fields = Record<string, InputMedia[]>

/** What was done with a file on its way to the upstream, for the timeline. */
export interface MediaChange {
  media: string
  from: string
  to: string
  changes: string[]
}

/** What an upstream takes that says nothing else. */
const usualTypes: MediaTypes = {
  image: ['image/jpeg', 'image/png'],
  video: ['video/mp4'],
  audio: ['audio/mpeg', 'audio/wav'],
}

/** A film that is encoded anew takes longer, everything else less. */
const slowMs = 10_000

/**
 * Makes of a job's files what its upstream may have: of a type that it takes, and without what tells of the customer's place
 * and devices. The files of the customer stay as they are.
 */
export async function cleanMedia(
  context: Pick<JobContext, 'media' | 'isReachable'>,
  provider: Pick<Provider, 'takes' | 'readsFiles'>,
  media: Fields,
  folder: string,
  onSlow: (name: string) => Promise<void>,
): Promise<{ media: Fields; changes: MediaChange[] } | { failure: Failure }> {
  const takes = { ...usualTypes, ...provider.takes }
  const cleaned: Fields = {}
  const changes: MediaChange[] = []
  for (const [field, files] of Object.entries(media)) {
    const made: InputMedia[] = []
    for (const [index, file] of files.entries()) {
      const name = files.length > 1 ? `${field}[${index}]` : field
      const byAddress = file.kind === 'video' && !context.isReachable && provider.readsFiles !== true
      const outcome = byAddress
        ? asAddress(file, takes.video)
        : await noticed(cleanFile(context, file, { types: takes[file.kind], folder }), () => onSlow(name))
      if ('message' in outcome) {
        return { failure: { code: 'INPUT_MEDIA_INVALID', message: `${name}: ${outcome.message}` } }
      }
      made.push(outcome.file)
      const isOther = outcome.file.contentType !== file.contentType
      if (outcome.changes.length > 0 || isOther) {
        const { contentType: to } = outcome.file
        changes.push({ media: name, from: file.contentType, to, changes: outcome.changes })
      }
    }
    cleaned[field] = made
  }
  return { media: cleaned, changes }
}

/** Tells of what takes long while it does. What is told is not worth a failure. */
async function noticed<T>(work: Promise<T>, tell: () => Promise<void>): Promise<T> {
  const timer = setTimeout(() => tell().catch(() => {}), slowMs)
  try {
    return await work
  } finally {
    clearTimeout(timer)
  }
}

type Outcome = { file: InputMedia; changes: string[] } | { message: string }

/** A film is too much for a request's body: without an address of ours the upstream can only be told that of the customer. */
function asAddress(file: InputMedia, types: readonly string[]): Outcome {
  if (types.includes(file.contentType)) {
    return { file, changes: ['passed on by the address that you gave, with all that is in it'] }
  }
  const wanted = types.join(' or ')
  return {
    message: `The film is ${file.contentType}, and the provider takes ${wanted} alone: give such a one.`,
  }
}

async function cleanFile(
  { media }: Pick<JobContext, 'media'>,
  file: InputMedia,
  { types, folder }: { types: readonly string[]; folder: string },
): Promise<Outcome> {
  const target = join(folder, randomUUID())
  const { sourceUrl: _address, ...known } = file
  const outcome =
    file.kind === 'image'
      ? await media.cleanPicture(file.path, target, types)
      : await media.cleanFilm(file, target, types)
  if (!outcome.ok) return { message: outcome.message }
  const { ok: _, changes, ...facts } = outcome
  // without the address of the original, which this is not
  return { file: { ...known, ...facts, path: target } as InputMedia, changes }
}
