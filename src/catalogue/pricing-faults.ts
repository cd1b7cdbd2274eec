import type { JsonSchema } from '../json-schema.ts'
import { type Decimal, decimal, multiply, roundHalfUp } from '../pricing/decimal.ts'
import type { Pricing } from '../pricing/price.ts'

/** What is wrong with the prices of a version: whatever its input takes must have exactly one, and not be given away. */
export function pricingFaults(pricing: Pricing, input: JsonSchema): string[] {
  const isFree = roundHalfUp(cheapest(pricing)) === 0n
  const faults = factorFaults(pricing, input)
  return isFree ? ['pricing: the cheapest job would cost nothing', ...faults] : faults
}

function cheapest({ baseCostMicroCents, factors }: Pricing): Decimal {
  const least = Object.values(factors).flatMap((multipliers) =>
    Object.values(multipliers)
      .toSorted((a, b) => Number(a) - Number(b))
      .slice(0, 1),
  )
  return least.map(decimal).reduce(multiply, decimal(String(baseCostMicroCents)))
}

function factorFaults(pricing: Pricing, input: JsonSchema): string[] {
  const properties = input.properties as Record<string, JsonSchema>
  const required = input.required as string[]
  return Object.entries(pricing.factors).flatMap(([field, multipliers]) => {
    const schema = Object.hasOwn(properties, field) ? properties[field] : undefined
    const values = schema === undefined ? [] : valuesOf(schema)
    const reasons = values.length === 0 ? ['input has no options of this name'] : []
    if (values.length > 0) {
      const stray = Object.keys(multipliers).filter((value) => !values.includes(value))
      const missing = values.filter((value) => !Object.hasOwn(multipliers, value))
      reasons.push(...stray.map((value) => `"${value}" is no option of the input`))
      reasons.push(...missing.map((value) => `option "${value}" has no multiplier`))
      if (schema?.default === undefined && !required.includes(field))
        reasons.push('input must require the field or give it a default, or a job may have no price for it')
    }
    return reasons.map((reason) => `pricing.factors.${field}: ${reason}`)
  })
}

// More is no table of prices.
const mostValues = 1000

/** Every value that a field takes, as text; none where they can't be counted. */
function valuesOf(schema: JsonSchema): string[] {
  if (Array.isArray(schema.enum)) return schema.enum.map(String)
  if (schema.type === 'boolean') return ['false', 'true']
  const { minimum, maximum } = schema
  if (schema.type !== 'integer' || typeof minimum !== 'number' || typeof maximum !== 'number') return []
  const count = Math.floor(maximum) - Math.ceil(minimum) + 1
  if (!(count > 0 && count <= mostValues)) return []
  return Array.from({ length: count }, (_, index) => String(Math.ceil(minimum) + index))
}
