import type { Command } from 'commander'

/** Each action is loaded only when it runs: help starts sooner without. */
export function addUpstreamCommands(program: Command): void {
  const upstream = program.command('upstream').description('Look after the upstreams that make live jobs.')
  upstream
    .command('list')
    .description(
      'List the upstreams: what is set up, whether it answers, what keeps jobs away from it, what is under way, what was spent since midnight UTC.',
    )
    .option('--no-check', 'ask no upstream anything')
    .option('--json', 'print one JSON document')
    .action(async (options: { check: boolean; json?: boolean }) => {
      await (await import('./upstream-actions.ts')).listUpstreams(options)
    })
  upstream
    .command('check')
    .description(
      'Make one free call with the credentials of an upstream, and explain the answer. If it is well, what was found closed is opened. Exits 1 if it is not.',
    )
    .argument('<name>', 'kling, fal, …: as "filmgate upstream list" shows it')
    .option('--json', 'print one JSON document')
    .action(async (name: string, options: { json?: boolean }) => {
      await (await import('./upstream-actions.ts')).checkUpstream(name, options)
    })
}
