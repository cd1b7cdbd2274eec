import type { ModelVersion } from '../catalogue/load.ts'
import { dollars, grouped } from '../dollars.ts'
import type { JsonSchema } from '../json-schema.ts'
import { type Decimal, roundHalfUp } from '../pricing/decimal.ts'
import { exactBase, type Price, type Pricing, price } from '../pricing/price.ts'
import { code, plain, sections, table } from './text.ts'

const units = { per_second: 'second', per_request: 'request', per_image: 'image' }

/** 70,000 micro-cents per second ($0.07/second) */
export function baseCost(pricing: Pricing): string {
  const base = exactBase(pricing)
  const unit = units[pricing.unit]
  return `${decimalText(base)} micro-cents per ${unit} (${dollars(roundHalfUp(base))}/${unit})`
}

// 78750.1250 → 78,750.125
function decimalText({ digits, scale }: Decimal): string {
  const text = String(digits).padStart(scale + 1, '0')
  const fraction = text.slice(text.length - scale).replace(/0+$/, '')
  const whole = grouped(BigInt(text.slice(0, text.length - scale)))
  return scale === 0 || fraction === '' ? whole : `${whole}.${fraction}`
}

/** 350,000 micro-cents ($0.35) */
export function amount(microCents: bigint | number): string {
  return `${grouped(microCents)} micro-cents (${dollars(microCents)})`
}

/** The price of a job that leaves every option at its default. */
export function defaultPrice(version: ModelVersion): { price: Price; input: Record<string, unknown> } {
  const properties = version.inputSchema.properties as Record<string, JsonSchema>
  const required = version.inputSchema.required as string[]
  const fields = Object.keys(version.pricing.factors).flatMap((field) => {
    const value =
      properties[field]?.default ?? (required.includes(field) ? version.example[field] : undefined)
    return value === undefined ? [] : [[field, value] as const]
  })
  const input = Object.fromEntries(fields)
  const priced = price(version.pricing, input)
  if ('field' in priced) throw new Error(`the default of ${priced.field} has no price`)
  return { price: priced, input }
}

/** How the price of a version is made, with its default worked out. */
export function pricingText(version: ModelVersion): string {
  const { pricing } = version
  const fields = Object.keys(pricing.factors)
  const { price: byDefault } = defaultPrice(version)
  if (fields.length === 0) {
    return `Flat price: every job costs **${amount(byDefault.costMicroCents)}**, whatever its input.`
  }
  const used = byDefault.breakdown.slice(1)
  const worked = [decimalText(exactBase(pricing)), ...used.map(({ multiplier }) => multiplier)].join(' × ')
  const options = used.map(({ component, value }) => optionText(component, value ?? '')).join(', ')
  return sections(
    `Base cost: ${baseCost(pricing)}.`,
    `\`\`\`text\ncost = base × ${fields.join(' × ')}\n\`\`\``,
    table(
      ['Field', 'Option', 'Multiplier'],
      Object.entries(pricing.factors).flatMap(([field, options]) =>
        inNumberOrder(options).map(([option, multiplier], index) => [
          index === 0 ? code(field) : '',
          code(option),
          `× ${multiplier}`,
        ]),
      ),
    ),
    `**Default cost:** ${options === '' ? '' : `${plain(options)} = `}${worked} = ${amount(byDefault.costMicroCents)}`,
    `The price is computed exactly, rounded half up to a whole micro-cent once at the end, and fixed when the job is accepted. Ask for [an estimate](/docs/pricing#estimates) of any input beforehand; it is what you will be charged.`,
  ).trimEnd()
}

/** duration 5 → 5 seconds, has_sound false → no sound, quality std → std quality */
function optionText(field: string, option: string): string {
  const noun = field.replace(/^(has|with|is|enable|generate)_/, '').replaceAll('_', ' ')
  if (option === 'true') return `with ${noun}`
  if (option === 'false') return `no ${noun}`
  if (field === 'duration' && /^\d+$/.test(option)) return `${option} second${option === '1' ? '' : 's'}`
  return `${option} ${noun}`
}

function inNumberOrder(options: Record<string, string>): [string, string][] {
  return Object.entries(options).sort(([a], [b]) => Number(a) - Number(b) || 0)
}
