import type { Command } from 'commander'
import { dollars } from '../dollars.ts'
import { openApi } from './api.ts'
import { text, word } from './arguments.ts'
import { print, table } from './output.ts'

interface Model {
  slug: string
  name: string
  description: string
  providerId: string
  capability: string
  /** null while no version takes jobs. */
  currentVersionPricing: { baseCostMicroCents: number; unit: string } | null
}

interface Filters {
  provider?: string
  capability?: string
  search?: string
}

export function addModelsCommand(program: Command): void {
  program
    .command('models')
    .description('List the models that you can use, with what they cost.')
    .option('--provider <provider>', 'only those of this provider', word)
    .option('--capability <capability>', 'only those that do this, such as text-to-video', word)
    .option('--search <text>', 'only those with this text in slug, name or description', text)
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExample:\n  filmgate models --capability image-to-video --search kling')
    .action(async (options: Filters & { json?: boolean }) => {
      const answer = await openApi(process.env).call<{ models: Model[] }>('GET', '/v1/models')
      const models = answer.models.filter((model) => passes(model, options))
      const rows = models.map((model) => [model.slug, model.name, model.capability, price(model)])
      const header = ['model', 'name', 'capability', 'base price']
      print(options, { models }, rows.length === 0 ? ['no model matches'] : table([header, ...rows]))
    })
}

function passes(model: Model, { provider, capability, search }: Filters): boolean {
  const text = `${model.slug}\n${model.name}\n${model.description}`.toLowerCase()
  return (
    (provider === undefined || model.providerId === provider) &&
    (capability === undefined || model.capability === capability) &&
    (search === undefined || text.includes(search.toLowerCase()))
  )
}

function price({ currentVersionPricing: pricing }: Model): string {
  if (pricing === null) return 'takes no jobs now'
  return `${dollars(pricing.baseCostMicroCents)} ${pricing.unit.replace('_', ' ')}`
}
