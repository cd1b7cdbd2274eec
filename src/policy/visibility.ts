import type { Catalogue, Model } from '../catalogue/load.ts'
import type { Policy } from './policy.ts'

/** Who looks at the catalogue; undefined: somebody without a key. */
export interface Viewer {
  segments: string[]
  allowedModels: string[]
}

/** True if the model is public, or for a segment of the viewer's, or private and allowed to the viewer. */
export function isVisible(policy: Policy, viewer: Viewer | undefined, model: Model): boolean {
  const rule = policy.visibility.get(model.slug)
  if (rule === undefined) return true
  if (viewer === undefined) return false
  return rule.visibility === 'private'
    ? viewer.allowedModels.includes(model.slug)
    : rule.segments.some((segment) => viewer.segments.includes(segment))
}

/** The models that the viewer may see, in the catalogue's order. */
export function visibleModels(catalogue: Catalogue, policy: Policy, viewer: Viewer | undefined): Model[] {
  return [...catalogue.models.values()].filter((model) => isVisible(policy, viewer, model))
}
