import type { Command } from 'commander'
import { dollars } from '../dollars.ts'
import { openApi } from './api.ts'
import { parser, refuse, version, word } from './arguments.ts'
import { type Field, fieldsHelp, readField, toInput, type ValueField } from './fields.ts'
import { print, table } from './output.ts'

interface Estimate {
  baseCostMicroCents: number
  estimatedCostMicroCents: number
  breakdown: { component: string; costMicroCents: number; value?: string; multiplier?: string }[]
}

export function addEstimateCommand(program: Command): void {
  program
    .command('estimate')
    .description('Price a job without submitting it.')
    .argument('<model>', 'slug of the model, as "filmgate models" lists it', word)
    .argument('[field=value...]', 'fields of the input; only priced ones are needed', readOwn)
    .option('--version <version>', 'version of the model; the current one by default', version)
    .option('--json', 'print one JSON document')
    .addHelpText('after', fieldsHelp)
    .addHelpText('after', '\nExample:\n  filmgate estimate kling/kling-omni-o1/image-to-video duration=10')
    .action(
      async (model: string, fields: ValueField[] = [], options: { version?: string; json?: boolean }) => {
        const estimate = await openApi(process.env).call<Estimate>('POST', '/v1/jobs/estimate', {
          body: { model, version: options.version, input: toInput(fields) },
        })
        print(options, estimate, describe(estimate))
      },
    )
}

const readOwn = parser<Field[]>(
  'field',
  (text, before) => {
    const fields = readField(text, before)
    if (!fields.some((field) => 'file' in field)) return fields
    return refuse('an estimate uploads no file: leave the field out, as it has no price')
  },
  { repeats: true },
)

function describe(estimate: Estimate): string[] {
  const { baseCostMicroCents, estimatedCostMicroCents, breakdown } = estimate
  const rows = breakdown.flatMap((part) => [
    ...(part.component === 'agreed_price' ? [['list price', '', '', dollars(baseCostMicroCents)]] : []),
    [
      part.component,
      part.value ?? '',
      part.multiplier === undefined ? '' : `× ${part.multiplier}`,
      dollars(part.costMicroCents),
    ],
  ])
  return table([
    ['component', 'value', 'factor', 'adds'],
    ...rows,
    ['total', '', '', dollars(estimatedCostMicroCents)],
  ])
}
