import type { Model, ModelVersion } from './load.ts'

/** The version that a job gets which names none: the newest active one, or else the newest deprecated one. */
export function currentVersion(model: Model): ModelVersion | undefined {
  const newest = (status: ModelVersion['status']) =>
    model.versions.findLast((version) => version.status === status)
  return newest('active') ?? newest('deprecated')
}
