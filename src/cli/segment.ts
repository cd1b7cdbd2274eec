import type { Command } from 'commander'
import { assignSegment, createSegment, listSegments, removeSegment } from '../accounts/segments.ts'
import type { Db } from '../db.ts'
import { segmentName, text, word } from './arguments.ts'
import { CommandFailed, print, table, withDatabase } from './output.ts'
import { printUser, requireUser } from './user.ts'

export function addSegmentCommands(program: Command): void {
  const segment = program
    .command('segment')
    .description('Group users, to give them prices and models together.')
  segment
    .command('create')
    .description('Make a segment without users.')
    .argument('<name>', 'lower-case letters, digits and hyphens', segmentName)
    .option('--description <text>', 'whom it is for', text)
    .option('--json', 'print one JSON document')
    .action(async (name: string, options: { description?: string; json?: boolean }) => {
      await withDatabase(async ({ pool }) => {
        const isNew = await createSegment(pool, name, options.description)
        if (!isNew) throw new CommandFailed(`there is a segment ${name} already`)
        const made = { name, description: options.description ?? null, users: 0 }
        print(options, made, [`made the segment ${name}; "filmgate segment add ${name} USER" fills it`])
      })
    })
  segment
    .command('list')
    .description('List the segments with the number of their users.')
    .option('--json', 'print one JSON document')
    .action(async (options: { json?: boolean }) => {
      await withDatabase(async ({ pool }) => {
        const segments = await listSegments(pool)
        const rows = segments.map(({ name, users, description }) => [name, String(users), description ?? ''])
        print(options, { segments }, table([['segment', 'users', 'description'], ...rows]))
      })
    })
  segment
    .command('remove')
    .description('Take a segment away that nothing uses any more.')
    .argument('<name>', 'name of the segment', word)
    .option('--json', 'print one JSON document')
    .action(async (name: string, options: { json?: boolean }) => {
      await withDatabase(async ({ pool }) => {
        // only here: the customer's commands start sooner without it
        const { transaction } = await import('../db.ts')
        const outcome = await transaction(pool, (client) => removeSegment(client, name))
        if (outcome === 'unknown') throw await unknownSegment(pool, name)
        if (outcome !== 'removed') throw new CommandFailed(inUse(name, outcome))
        print(options, { name, removed: true }, [`removed the segment ${name}`])
      })
    })
  addMembership(segment, 'add', 'Put a user into a segment; counts from its next request on.', true)
  addMembership(segment, 'drop', 'Take a user out of a segment; counts from its next request on.', false)
}

function addMembership(segment: Command, verb: string, description: string, isMember: boolean): void {
  segment
    .command(verb)
    .description(description)
    .argument('<name>', 'name of the segment', word)
    .argument('<user>', 'user id or e-mail address', word)
    .option('--json', 'print one JSON document')
    .action(async (name: string, idOrEmail: string, options: { json?: boolean }) => {
      await withDatabase(async ({ pool }) => {
        const { userId } = await requireUser(pool, idOrEmail)
        if (!(await assignSegment(pool, name, userId, isMember))) throw await unknownSegment(pool, name)
        await printUser(pool, userId, options)
      })
    })
}

async function unknownSegment(db: Db, name: string): Promise<CommandFailed> {
  const { hint } = await import('../policy/override-request.ts')
  const known = (await listSegments(db)).map((segment) => segment.name)
  return new CommandFailed(`there is no segment ${name}; ${hint(name, known)}`)
}

function inUse(name: string, uses: { overrides: number; models: number; users: number }): string {
  const counts = [
    ['users (segment drop)', uses.users],
    ['models (model visibility)', uses.models],
    ['price overrides (price override remove)', uses.overrides],
  ] as const
  const named = counts.filter(([, count]) => count > 0).map(([what, count]) => `${what}: ${count}`)
  return `the segment ${name} is still used; end that first: ${named.join(', ')}`
}
