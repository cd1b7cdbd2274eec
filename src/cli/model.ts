import { Argument, type Command } from 'commander'
import type { VersionStatus } from '../catalogue/schema.ts'
import type { Visibility } from '../policy/settings.ts'
import { finite, limit, segmentList, version, word } from './arguments.ts'
import { CommandFailed } from './output.ts'

type Output = { json?: boolean }

export function addModelCommands(program: Command): void {
  const model = program
    .command('model')
    .description('Set who may use which model, how often, in which versions.')
  model
    .command('show')
    .description('Show what is set of a model, and the price overrides that touch it.')
    .argument('<slug>', 'slug of the model', word)
    .option('--json', 'print one JSON document')
    .action(async (slug: string, options: Output) => (await actions()).showModel(slug, options))
  addVisibility(model)
  addVersion(model)
  addLimit(model)
  addAllowance(model, 'allow', 'Open a private model to a user; counts from its next request on.', true)
  addAllowance(model, 'disallow', 'Close a private model to a user; counts from its next request on.', false)
}

// only when they are needed: with the catalogue's code every help would start three times as slowly
const actions = () => import('./model-actions.ts')

function addVisibility(model: Command): void {
  model
    .command('visibility')
    .description('Set who sees a model; without arguments, list the models that are not public.')
    .argument('[slug]', 'slug of the model', word)
    .addArgument(new Argument('[visibility]', 'who sees it').choices(['public', 'private', 'segment']))
    .option('--segments <list>', 'names of segments with commas, to go with segment', segmentList)
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
A private model is for the users to whom "filmgate model allow" opens it.

Examples:
  filmgate model visibility kling/kling-omni-o1/image-to-video private
  filmgate model visibility kling/kling-omni-o1/image-to-video segment --segments studios,partners`,
    )
    .action(
      async (
        slug: string | undefined,
        visibility: Visibility['visibility'] | undefined,
        options: Output & { segments?: string[] },
      ) => {
        if (slug === undefined) return (await actions()).listHiddenModels(options)
        if (visibility === undefined)
          throw new CommandFailed(
            'say who sees it: public, private or segment; "filmgate model show" shows it',
          )
        await (await actions()).changeVisibility(slug, toRule(visibility, options.segments), options)
      },
    )
}

function addVersion(model: Command): void {
  const states = ['active', 'deprecated', 'disabled', 'deleted', 'catalogue'] satisfies (
    | VersionStatus
    | 'catalogue'
  )[]
  model
    .command('version')
    .description('Set the state of a version; "catalogue" takes the operator\'s word back.')
    .argument('<slug>', 'slug of the model', word)
    .argument('<version>', 'a version of it, such as v1.0', version)
    .addArgument(new Argument('<state>', 'its state from now on').choices(states))
    .option('--json', 'print one JSON document')
    .action(async (slug: string, version: string, state: (typeof states)[number], options: Output) => {
      const status = state === 'catalogue' ? null : state
      await (await actions()).changeVersion(slug, version, { status }, options)
    })
}

function addLimit(model: Command): void {
  model
    .command('limit')
    .description('Set how often each user may submit jobs to a version; what is not given stays.')
    .argument('<slug>', 'slug of the model', word)
    .argument('<version>', 'a version of it, such as v1.0', version)
    .option('--per-minute <number>', 'a whole number, or "unlimited"', limit)
    .option('--per-day <number>', 'a whole number, or "unlimited"', limit)
    .option('--json', 'print one JSON document')
    .action(
      async (slug: string, version: string, options: Output & { perMinute?: number; perDay?: number }) => {
        const { perMinute, perDay } = options
        if (perMinute === undefined && perDay === undefined)
          throw new CommandFailed('give --per-minute or --per-day, or both')
        const change = {
          ...(perMinute !== undefined && { requestsPerMinute: finite(perMinute) }),
          ...(perDay !== undefined && { requestsPerDay: finite(perDay) }),
        }
        await (await actions()).changeVersion(slug, version, change, options)
      },
    )
}

function addAllowance(model: Command, verb: string, description: string, isAllowed: boolean): void {
  model
    .command(verb)
    .description(description)
    .argument('<slug>', 'slug of the model', word)
    .argument('<user>', 'user id or e-mail address', word)
    .option('--json', 'print one JSON document')
    .action(async (slug: string, user: string, options: Output) =>
      (await actions()).allow(slug, user, isAllowed, options),
    )
}

function toRule(visibility: Visibility['visibility'], segments: string[] | undefined): Visibility {
  if (visibility === 'segment') {
    if (segments !== undefined) return { visibility, segments }
    throw new CommandFailed('name the segments that see it: --segments a,b')
  }
  if (segments === undefined) return { visibility }
  throw new CommandFailed(`--segments does not go with ${visibility}: leave it out, or say segment`)
}
