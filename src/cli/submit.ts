import type { Command } from 'commander'
import { idempotencyKey, parser, path, refuse, url, version, word } from './arguments.ts'
import { type Field, fieldsHelp, readField } from './fields.ts'
import { microCents, oneOf, usdOption } from './money.ts'
import type { SubmitOptions } from './submission.ts'

const filesHelp = `  field=@file       a local file, uploaded first

An answer that was lost is asked for again with the same idempotency key, so the job is never charged twice.
A file is uploaded anew by each command and makes it another request, also under the same idempotency key.

Exit code: 0 done, 1 failed, 2 not understood, 130 stopped while waiting.

Examples:
  filmgate submit kling-plus/kling-o3-standard/text-to-video prompt="A street at night" duration=5 --out street.mp4
  filmgate submit kling/kling-omni-o1/image-to-video prompt="The cat blinks" --image cat.jpg --wait`

export function addSubmitCommand(program: Command): void {
  program
    .command('submit')
    .description('Submit a job; with --wait or --out, until its files are there.')
    .argument('<model>', 'slug of the model, as "filmgate models" lists it', word)
    .argument('[field=value...]', 'fields of the input', readField)
    .option('--image <file>', "upload a picture for the model's first picture field", path)
    .option('--wait', 'wait until the job has ended')
    .option(
      '--out <file>',
      'wait, then download to this file; more outputs get -2, -3 … in their names',
      path,
    )
    .option('--force', 'let --out write over files')
    .option('--max-cost <microcents>', 'refuse the job, uncharged, if it costs more', microCents)
    .addOption(usdOption('--max-cost'))
    .option('--webhook <url>', 'a public https URL to tell when the job has ended', url)
    .option('--metadata <name=value>', 'a note of your own, kept with the job; may be repeated', note)
    .option('--version <version>', 'version of the model; the current one by default', version)
    .option(
      '--idempotency-key <key>',
      'the same key gives the same job again; a new one by default',
      idempotencyKey,
    )
    .option('--json', 'print one JSON document')
    .addHelpText('after', fieldsHelp)
    .addHelpText('after', filesHelp)
    .action(async (model: string, fields: Field[] = [], options: SubmitOptions, command: Command) => {
      const maxCost = oneOf(command, '--max-cost', options.maxCost, options.usd)
      // only here: the other commands need neither bars nor the types of files
      const { submit } = await import('./submission.ts')
      await submit(model, fields, { ...options, ...(maxCost !== undefined && { maxCost }) })
    })
}

const note = parser<Record<string, string>>(
  'note',
  (text, before = {}) => {
    const [, name, value] = /^([^=\p{Cc}]+)=([^\p{Cc}]*)$/u.exec(text) ?? []
    if (name === undefined || value === undefined) return refuse('write it as name=value, like order=4711')
    if (Object.hasOwn(before, name)) return refuse(`${name} is given twice: give it once, like order=4711`)
    return { ...before, [name]: value }
  },
  { repeats: true },
)
