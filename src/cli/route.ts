import type { Command } from 'commander'
import { version, word } from './arguments.ts'
import { fieldsHelp, readField, type ValueField } from './fields.ts'

export function addRouteCommand(program: Command): void {
  program
    .command('route')
    .description(
      'Show the ways that a live job of a model could go now, in the order in which they would be tried, and why.',
    )
    .argument('<model>', 'slug of the model', word)
    .argument(
      '[field=value...]',
      'fields of the input, which may decide; those left out have their defaults, or what the example of the model has',
      readField,
    )
    .option('--version <version>', 'version of the model; the current one by default', version)
    .option('--json', 'print one JSON document')
    .addHelpText('after', fieldsHelp)
    .addHelpText(
      'after',
      "\nThe score: price over the cheapest × √(time over the fastest) ÷ (success rate)², and 5 % for each place in the\ncatalogue's list; the lowest is tried first.\n\nExample:\n  filmgate route kling/kling-omni-o1/text-to-video quality=pro duration=10",
    )
    .action(
      async (model: string, fields: ValueField[] = [], options: { version?: string; json?: boolean }) => {
        // only here: help starts sooner without it
        await (await import('./route-action.ts')).showRoutes(model, fields, options)
      },
    )
}
