import { type Static, Type } from 'typebox'
import type { Catalogue, Model } from '../catalogue/load.ts'
import { ApiError } from '../errors.ts'
import { nearest } from '../json-schema.ts'
import { currentVersion } from '../policy/versions.ts'
import type { Audience } from './audience.ts'

export const providerParams = Type.Object({
  providerId: Type.String({ description: 'The id of the provider, such as kling.' }),
})

/** What every answer says of a provider. */
export const providerFields = {
  id: Type.String(),
  name: Type.String(),
  description: Type.String(),
  logoUrl: Type.String({ description: 'An SVG picture.' }),
  website: Type.String(),
  color: Type.String({ description: 'Hexadecimal, such as #1f6feb.' }),
}

export const provider = Type.Object({
  ...providerFields,
  categories: Type.Array(Type.String(), { description: 'What its models make: video, image, audio, text.' }),
  isActive: Type.Boolean({ description: 'At least one of its models takes jobs now.' }),
})

/** For the examples of declarations. */
export const providerExample: Static<typeof provider> = {
  id: 'kling',
  name: 'Kling',
  description: 'Kling video models from 2.5 to 3.0, most with a standard and a professional quality tier.',
  logoUrl: 'https://films.example.com/docs/logos/kling.svg',
  website: 'https://kling.ai',
  color: '#1f6feb',
  categories: ['video'],
  isActive: true,
}

export interface ShownProvider {
  id: string
  about: Catalogue['providers'][string]
  models: Model[]
}

/** The providers of these models, in the catalogue's order; one whose models are all hidden is hidden with them. */
export function providersOf({ providers }: Catalogue, models: Model[]): ShownProvider[] {
  const byProvider = Map.groupBy(models, (model) => model.provider.id)
  return Object.entries(providers).flatMap(([id, about]) => {
    const own = byProvider.get(id)
    return own === undefined ? [] : [{ id, about, models: own }]
  })
}

/** Throws NOT_FOUND, with a hint that names none of the hidden. */
export function findProvider(shown: ShownProvider[], id: string): ShownProvider {
  const found = shown.find((provider) => provider.id === id)
  if (found !== undefined) return found
  const ids = shown.map((provider) => provider.id)
  const guess = nearest(id, ids)
  const hint = guess === undefined ? '' : ` Did you mean "${guess}"?`
  throw new ApiError('NOT_FOUND', `There is no provider "${id.slice(0, 100)}".${hint}`)
}

export function toProviderFields({ origin }: Pick<Audience, 'origin'>, { id, about }: ShownProvider) {
  const { name, description, website, color } = about
  return { id, name, description, logoUrl: logoUrl(origin, id), website, color }
}

export function logoUrl(origin: string, providerId: string): string {
  return `${origin}/docs/logos/${providerId}.svg`
}

export function toProvider(audience: Audience, shown: ShownProvider): Static<typeof provider> {
  return {
    ...toProviderFields(audience, shown),
    categories: [...new Set(shown.models.map((model) => model.category))],
    isActive: shown.models.some((model) => currentVersion(audience.policy, model) !== undefined),
  }
}
