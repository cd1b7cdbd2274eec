import { hash } from 'node:crypto'
import type { Catalogue } from '../catalogue/load.ts'

/** The id of a model: the same on every server, for as long as its slug is. */
export function modelId(slug: string): string {
  return `model_${hash('sha256', slug).slice(0, 24)}`
}

/** The slug of an id, which may be a slug already; undefined for an id that no model has. */
export function slugOf(catalogue: Catalogue, idOrSlug: string): string | undefined {
  if (!idOrSlug.startsWith('model_')) return idOrSlug
  return catalogue.models.keys().find((slug) => modelId(slug) === idOrSlug)
}
