import type { Command } from 'commander'
import { requestId } from './arguments.ts'

export function addRequestCommands(program: Command): void {
  const request = program.command('request').description('Look up requests by their id.')
  request
    .command('show')
    .description('Show what became of a request: the job that it made, or how it was refused.')
    .argument('<request>', 'request id: requestId of an answer, its header x-request-id', requestId)
    .option('--json', 'print one JSON document')
    .action(async (id: string, options: { json?: boolean }) => {
      const { showRequest } = await import('./request-action.ts')
      await showRequest(id, options)
    })
}
