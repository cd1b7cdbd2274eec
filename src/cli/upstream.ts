import type { Command } from 'commander'
import { word } from './arguments.ts'

/** Each action is loaded only when it runs: help starts sooner without. */
export function addUpstreamCommands(program: Command): void {
  const upstream = program.command('upstream').description('Look after the upstreams that make live jobs.')
  upstream
    .command('list')
    .description(
      'List the upstreams: which running servers have them, whether they answer, what keeps jobs away from them, what is under way, what was spent since midnight UTC.',
    )
    .option('--no-check', 'have no upstream asked anything')
    .option('--json', 'print one JSON document')
    .action(async (options: { check: boolean; json?: boolean }) => {
      await (await import('./upstream-actions.ts')).listUpstreams(options)
    })
  upstream
    .command('check')
    .description(
      'Have a running server make one free call with its credentials of an upstream, and explain the answer. If it is well, what it shows to be mended takes jobs again, and the next job tries the rest. Exits 1 if it is not.',
    )
    .argument('<name>', 'kling, fal, …: as "filmgate upstream list" shows it', word)
    .option('--json', 'print one JSON document')
    .action(async (name: string, options: { json?: boolean }) => {
      await (await import('./upstream-actions.ts')).checkUpstream(name, options)
    })
}
