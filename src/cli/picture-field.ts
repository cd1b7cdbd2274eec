import type { Api } from './api.ts'
import { CommandFailed } from './output.ts'

interface FieldSchema {
  media?: string
  items?: { media?: string }
}

interface Model {
  slug: string
  currentVersion: string | null
  versions: { versionId: string; inputSchema: { properties: Record<string, FieldSchema> } }[]
}

const pictureMedia: (string | undefined)[] = ['image', 'any']

/** The first field of the model's input that takes a picture, or a list of them. */
export async function findPictureField(
  api: Api,
  slug: string,
  version: string | undefined,
): Promise<{ name: string; isList: boolean }> {
  const path = slug.split('/').map(encodeURIComponent).join('/')
  const model = await api.call<Model>('GET', `/v1/models/${path}`)
  const versionId = version ?? model.currentVersion
  const found = model.versions.find((candidate) => candidate.versionId === versionId)
  if (found === undefined) {
    const what = versionId === null ? 'takes no jobs now' : `has no version ${versionId}`
    throw new CommandFailed(`${model.slug} ${what}`)
  }
  const fields = Object.entries(found.inputSchema.properties)
  const [name, schema] = fields.find(([, field]) => pictureMedia.includes(mediaOf(field))) ?? []
  if (name !== undefined) return { name, isList: schema?.items !== undefined }
  const candidates = fields.map(([name, field]) => (mediaOf(field) ? `${name} (${mediaOf(field)})` : name))
  throw new CommandFailed(`${model.slug} has no picture field; its fields are ${candidates.join(', ')}`)
}

function mediaOf(field: FieldSchema): string | undefined {
  return field.media ?? field.items?.media
}
