import type { Model, ModelVersion } from '../catalogue/load.ts'
import type { VersionStatus } from '../catalogue/schema.ts'
import type { Policy } from './policy.ts'

/** The state of a version: the operator's word, or else the catalogue's. */
export function statusOf(policy: Policy, model: Model, version: ModelVersion): VersionStatus {
  return policy.versions.get(`${model.slug} ${version.version}`)?.status ?? version.status
}

/** The version that a job gets which names none: the newest active one, or else the newest deprecated one. */
export function currentVersion(policy: Policy, model: Model): ModelVersion | undefined {
  const newest = (status: VersionStatus) =>
    model.versions.findLast((version) => statusOf(policy, model, version) === status)
  return newest('active') ?? newest('deprecated')
}
