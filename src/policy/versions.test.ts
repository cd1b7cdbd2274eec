import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadCatalogue, type Model } from '../catalogue/load.ts'
import type { VersionStatus } from '../catalogue/schema.ts'
import type { Policy } from './policy.ts'
import { currentVersion, statusOf } from './versions.ts'

const [some] = loadCatalogue().models.values()

function modelWith(statuses: VersionStatus[]): Model {
  const [version] = some!.versions
  return {
    ...some!,
    versions: statuses.map((status, index) => ({ ...version!, version: `v${index + 1}.0`, status })),
  }
}

function policyWith(words: Record<string, VersionStatus | null>): Policy {
  const settings = Object.entries(words).map(
    ([version, status]) =>
      [`${some!.slug} ${version}`, { status, requestsPerMinute: 1, requestsPerDay: null }] as const,
  )
  const overrides = { ofUser: new Map(), ofSegment: new Map() }
  return {
    number: 1n,
    visibility: new Map(),
    versions: new Map(settings),
    suspensions: [],
    overrides,
    markups: [],
  }
}

const current = (statuses: VersionStatus[], words: Record<string, VersionStatus | null> = {}) =>
  currentVersion(policyWith(words), modelWith(statuses))?.version

test('the current version is the newest active one, or else the newest deprecated one, or none', () => {
  assert.equal(current(['active', 'active', 'deprecated', 'disabled', 'deleted']), 'v2.0')
  assert.equal(current(['deprecated', 'deprecated', 'disabled', 'deleted']), 'v2.0')
  assert.equal(current(['disabled', 'deleted']), undefined)
})

test("the operator's word stands above the catalogue's, and its absence changes nothing", () => {
  assert.equal(current(['active', 'active'], { 'v2.0': 'disabled' }), 'v1.0')
  assert.equal(current(['active', 'disabled'], { 'v2.0': 'active' }), 'v2.0')
  assert.equal(current(['active', 'active'], { 'v2.0': null }), 'v2.0')
  const model = modelWith(['active', 'deleted'])
  const policy = policyWith({ 'v1.0': 'deprecated' })
  assert.deepEqual(
    model.versions.map((version) => statusOf(policy, model, version)),
    ['deprecated', 'deleted'],
  )
})
