import { type Static, Type } from 'typebox'
import type { Audience } from '../audience.ts'
import {
  providerExample,
  providerFields,
  providersOf,
  type ShownProvider,
  toProviderFields,
} from '../provider-answers.ts'
import { offersTo } from './entries.ts'

export const providerEntry = Type.Object({
  ...providerFields,
  modelCount: Type.Integer({ minimum: 1 }),
})

const { categories: _, isActive: __, ...fields } = providerExample

/** For the examples of declarations. */
export const providerEntryExample: Static<typeof providerEntry> = { ...fields, modelCount: 27 }

/** The providers that have something to offer. */
export function offeringProviders(audience: Audience): ShownProvider[] {
  return providersOf(
    audience.catalogue,
    offersTo(audience).map(({ model }) => model),
  )
}

/** A provider as the catalog's lists show it. */
export function toProviderEntry(audience: Audience, shown: ShownProvider): Static<typeof providerEntry> {
  return { ...toProviderFields(audience, shown), modelCount: shown.models.length }
}
