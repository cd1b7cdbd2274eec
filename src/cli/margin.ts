import type { Command } from 'commander'
import { marginPercent, word } from './arguments.ts'
import type { MarginOptions } from './margin-action.ts'

const examples = `
Margin is (price - cost) / price, by everybody's list price and the list price of the upstream. "by default" is a job that
leaves every option at its default, "worst" the options that leave least. What an upstream of unknown cost takes is not known.

Examples:
  filmgate margin --upstream kling --below 20
  filmgate margin --model kling/kling-omni-o1/image-to-video --json`

export function addMarginCommand(program: Command): void {
  program
    .command('margin')
    .description('Show what each route of each model earns, the least first.')
    .option('--provider <provider>', "this provider's models only", word)
    .option('--model <slug>', 'this model only', word)
    .option('--upstream <upstream>', 'routes to this upstream only', word)
    .option('--below <percent>', 'only routes with options that leave less than this', marginPercent)
    .option('--json', 'print one JSON document')
    .addHelpText('after', examples)
    .action(async (options: MarginOptions) => {
      // only here: help starts sooner without the catalogue's code
      const { showMargins } = await import('./margin-action.ts')
      await showMargins(options)
    })
}
