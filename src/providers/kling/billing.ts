import { Type } from 'typebox'
import { Value } from 'typebox/value'
import type { Billed, Json } from '../provider.ts'

const amount = Type.String({ pattern: '^\\d{1,9}(\\.\\d{1,9})?$' })
/** It is kept with every job. */
const word = Type.String({ maxLength: 100 })
const entries = Type.Array(
  Type.Object({
    charge_type: word,
    cash_type: Type.Optional(word),
    amount,
    currency: Type.Optional(word),
    package_type: Type.Optional(word),
    list_price: Type.Optional(word),
  }),
  { maxItems: 50 },
)
const deductions = Type.Object({
  final_unit_deduction: Type.Optional(word),
  final_balance_deduction: Type.Optional(
    Type.Object({ quota: Type.Optional(word), list_price: Type.Optional(word) }),
  ),
})

/** What a task of the new standard has cost. Dollars only where all of it was paid in dollars: units have no price of their own. */
export function billedOf(billing: unknown): Billed | undefined {
  if (!Value.Check(entries, billing) || billing.length === 0) return undefined
  const statement = Value.Clean(entries, structuredClone(billing)) as Json
  const isDollars = billing.every((entry) => entry.charge_type === 'cash' && entry.currency === 'USD')
  if (billing.every((entry) => Number(entry.amount) === 0)) return { microCents: 0, statement }
  if (!isDollars) return { statement }
  const microCents = billing.reduce((sum, entry) => sum + Math.round(Number(entry.amount) * 1_000_000), 0)
  return { microCents, statement }
}

/** The legacy standard names no currency. */
export function legacyBilledOf(task: unknown): Billed | undefined {
  if (!Value.Check(deductions, task)) return undefined
  const statement = Value.Clean(deductions, structuredClone(task)) as Record<string, Json>
  return Object.keys(statement).length === 0 ? undefined : { statement }
}
