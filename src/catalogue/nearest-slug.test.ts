import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadCatalogue } from './load.ts'
import { nearestSlug, slugHint } from './nearest-slug.ts'

const slugs = [...loadCatalogue().models.keys()]
const parted = slugs.map((slug) => slug.split('/')).filter((parts) => parts.length === 3)

test('a slug with a letter too many, too few, wrong or twice leads to the same capability', () => {
  const misspell = [
    (text: string) => `${text}x`,
    (text: string) => text.slice(0, -1),
    (text: string) => `x${text.slice(1)}`,
    (text: string) => text.replace(/(.)-/, '$1$1-'),
  ]
  let right = 0
  for (const [provider, name, capability] of parted) {
    for (const change of misspell) {
      for (const typed of [
        `${provider}/${change(name!)}/${capability}`,
        `${change(provider!)}/${name}/${capability}`,
      ]) {
        const found = nearestSlug(typed, slugs)
        if (slugs.includes(typed)) continue
        assert.equal(found?.split('/')[2], capability, `${typed} → ${found}`)
        if (found === `${provider}/${name}/${capability}`) right++
      }
    }
  }
  assert.ok(right > parted.length * 7, `${right} of ${parted.length * 8}`)
})

test('a misspelt capability leads to the capability that it is nearest to', () => {
  for (const [typed, meant] of [
    ['kling/kling-omni-o1/image-to-vidoe', 'kling/kling-omni-o1/image-to-video'],
    ['kling/kling-omni-o1/text2video', 'kling/kling-omni-o1/text-to-video'],
    ['kling/kling-omni-01/image_to_video', 'kling/kling-omni-o1/image-to-video'],
  ] as const)
    assert.equal(nearestSlug(typed, slugs), meant)
})

test('a capability that the named model lacks leads to no other one of it', () => {
  assert.equal(
    slugHint('kling/kling-omni-o1/video-edit', slugs),
    'kling/kling-omni-o1 is there as kling/kling-omni-o1/image-to-video, kling/kling-omni-o1/text-to-video',
  )
  assert.match(slugHint('wholly/different/thing', slugs), /^check the spelling/)
})

test('without a capability provider and name alone count', () => {
  assert.match(nearestSlug('klng/kling-omni-o1', slugs)!, /^kling\/kling-omni-o1\//)
})
