import type { Command } from 'commander'
import type { Pricing } from '../pricing/price.ts'
import { markupPercent, parser, percent, refuse, word } from './arguments.ts'
import { microCents, note, oneOf, usdOption } from './money.ts'
import type { ListOptions, MarkupOptions, SetOptions } from './price-actions.ts'

const examples = `
Of several overrides the most specific counts: a user's before a segment's, then a model's before a provider's before all.
Setting another one for the same user or segment and the same models replaces the one before.

Examples:
  filmgate price override set --user ada@example.com --discount 20
  filmgate price override set --segment studios --provider kling --discount 12.5 --note "contract 7"
  filmgate price override set --segment studios --model kling/kling-omni-o1/image-to-video --fixed 300000
  filmgate price override set --user ada@example.com --factor duration.10=1.8 --factor quality.pro=1.2`

export function addPriceCommands(program: Command): void {
  const price = program
    .command('price')
    .description('Mark prices up for everybody, and agree others with users and segments.')
  addMarkupCommands(price)
  const override = price.command('override').description("Set terms that stand above the catalogue's prices.")
  override
    .command('set')
    .description('Set the terms of a user or segment, for one model, for those of a provider or for all.')
    .option('--user <user>', 'user id or e-mail address', word)
    .option('--segment <segment>', 'name of a segment', word)
    .option('--model <slug>', 'this model only', word)
    .option('--provider <provider>', "this provider's models only", word)
    .option('--discount <percent>', 'taken off the price, such as 12.5', percent)
    .option('--fixed <microcents>', 'price of a job whatever its input; 1,000,000 are $1.00', microCents)
    .addOption(usdOption('--fixed'))
    .option('--factor <field.option=multiplier>', "in the catalogue's place; may be given again", factor)
    .option('--note <text>', 'why', note)
    .option('--json', 'print one JSON document')
    .addHelpText('after', examples)
    .action(async ({ usd, ...options }: SetOptions & { usd?: bigint }, command: Command) => {
      const fixed = oneOf(command, '--fixed', options.fixed, usd)
      await (await actions()).setPrice({ ...options, ...(fixed !== undefined && { fixed }) })
    })
  override
    .command('list')
    .description('List the overrides of all, or of one user or segment, oldest first.')
    .option('--user <user>', 'user id or e-mail address', word)
    .option('--segment <segment>', 'name of a segment', word)
    .option('--json', 'print one JSON document')
    .action(async (options: ListOptions) => (await actions()).listPrices(options))
  override
    .command('remove')
    .description('Take an override away; counts from the next request on.')
    .argument('<id>', 'id of the override', word)
    .option('--json', 'print one JSON document')
    .action(async (id: string, options: { json?: boolean }) => (await actions()).removePrice(id, options))
}

const markupExamples = `
Of several markups the most specific counts: a model's before a provider's before all; 0 takes a model out of a wider one.
Setting another one for the same models replaces the one before. Overrides of users and segments come on top.

Examples:
  filmgate price markup 20
  filmgate price markup 35 --provider kling
  filmgate price markup 0 --model kling/kling-omni-o1/image-to-video
  filmgate price markup list`

function addMarkupCommands(price: Command): void {
  const markup = price
    .command('markup')
    .description("Put a percentage on everybody's list price, for one model, those of a provider or all.")
    .argument('<percent>', 'put on the price, from 0 to 1000, such as 12.5', markupPercent)
    .option('--model <slug>', 'this model only', word)
    .option('--provider <provider>', "this provider's models only", word)
    .option('--note <text>', 'why', note)
    .option('--json', 'print one JSON document')
    .addHelpText('after', markupExamples)
    .action(async (percent: string, options: MarkupOptions) => (await actions()).setMarkup(percent, options))
  markup
    .command('list')
    .description('List the markups, oldest first.')
    .option('--json', 'print one JSON document')
    .action(async (options: { json?: boolean }) => (await actions()).listMarkupsOf(options))
  markup
    .command('remove')
    .description('Take a markup away; counts from the next request on.')
    .argument('<id>', 'id of the markup', word)
    .option('--json', 'print one JSON document')
    .action(async (id: string, options: { json?: boolean }) => (await actions()).removeMarkup(id, options))
}

// only when they are needed: with the catalogue's code every help would start three times as slowly
const actions = () => import('./price-actions.ts')

/**
 * Reads one `field.option=multiplier` after those before it. No field has a dot in its name and no multiplier an equals
 * sign, so that options may hold both: resolution.1.5=2, aspect_ratio.16:9=1.1.
 */
const factor = parser<Pricing['factors']>(
  'factor',
  (text, before = {}) => {
    const [, field, option, multiplier] = /^([^.=\s]+)\.([^\s]+)=([^=]*)$/.exec(text) ?? []
    if (field === undefined || option === undefined || multiplier === undefined) {
      return refuse('write it as field.option=multiplier, like duration.10=1.8')
    }
    if (!/^(0|[1-9]\d{0,8})(\.\d{1,9})?$/.test(multiplier)) {
      return refuse(`${field}.${option} must have a plain decimal as its multiplier, like duration.10=1.8`)
    }
    if (before[field]?.[option] !== undefined) {
      return refuse(`${field}.${option} is given twice: give it once, like duration.10=1.8`)
    }
    return { ...before, [field]: { ...before[field], [option]: multiplier } }
  },
  { repeats: true },
)
