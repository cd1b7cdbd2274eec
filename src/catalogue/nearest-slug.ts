import { distance, nearest } from '../json-schema.ts'

/**
 * The slug that was most likely meant. What a model does counts first: whoever asks for image-to-video is sent to no
 * model of text-to-video, however much alike the names are. Then the nearest provider and name count, the same
 * provider before another one. `slugs` are those that may be told.
 */
export function nearestSlug(typed: string, slugs: string[]): string | undefined {
  const wanted = partsOf(typed)
  const capability =
    wanted.capability &&
    nearest(wanted.capability, [...new Set(slugs.map((slug) => partsOf(slug).capability))])
  // a name of a capability that no model has says nothing
  if (wanted.capability !== '' && capability === undefined) return undefined
  const ranked = slugs
    .map((slug) => ({ slug, ...partsOf(slug) }))
    .filter((known) => capability === '' || known.capability === capability || known.capability === '')
    .map((known) => ({ ...known, away: distance(wanted.family, known.family) }))
    .filter(({ away, family }) => away <= Math.max(2, family.length / 2.5))
    .sort((a, b) => a.away - b.away || strangeness(wanted, a) - strangeness(wanted, b))
  return ranked[0]?.slug
}

/** What follows "There is no model": what the named model can do, and which one may have been meant. */
export function slugHint(typed: string, slugs: string[]): string {
  const { family } = partsOf(typed)
  const abilities = slugs.filter((slug) => partsOf(slug).family === family && slug !== typed)
  const guess = nearestSlug(typed, slugs)
  if (guess !== undefined && (abilities.length === 0 || abilities.includes(guess)))
    return `did you mean "${guess}"?`
  if (abilities.length > 0) return `${family} is there as ${abilities.join(', ')}`
  return 'check the spelling: GET /v1/models or "filmgate models" lists them'
}

// of two that are as near
function strangeness(wanted: Parts, known: Parts): number {
  return (wanted.provider === known.provider ? 0 : 2) + (wanted.capability === known.capability ? 0 : 1)
}

interface Parts {
  provider: string
  /** provider/name */
  family: string
  /** Empty where the slug names none. */
  capability: string
}

function partsOf(slug: string): Parts {
  const [provider = '', name = '', ...capability] = slug.split('/')
  return { provider, family: `${provider}/${name}`, capability: capability.join('/') }
}
