import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { type Suspension, suspensions } from '../refusal.ts'
import { errors, type Treatment } from './errors.ts'

const cells: Record<Exclude<Treatment, Suspension>, [becomes: string, again: string, charged: string]> = {
  refused: ['GENERATION_FAILED', 'to another upstream', 'no'],
  'looked up': [
    'accepted, unknown or GENERATION_FAILED, as Kling has the job or not',
    'only elsewhere, if it does not have it',
    'if there is a job',
  ],
  content: ['CONTENT_POLICY_VIOLATION', 'no', 'no'],
  busy: ['busy', 'later, or to another upstream', 'no'],
  unavailable: ['unavailable', 'later, or to another upstream', 'no'],
  unknown: ['unknown', 'not before it is known whether there is a job', 'if there is a job'],
}

function cellsOf(treatment: Treatment): string[] {
  if (treatment in suspensions) return [treatment, 'to another upstream; here once it is mended', 'no']
  return cells[treatment as keyof typeof cells]
}

test("the operator's table of Kling's answers is the one that is acted on", async () => {
  const page = await readFile(new URL('../../../docs/upstreams.md', import.meta.url), 'utf8')
  const section = page.split(/^## /m).find((part) => part.startsWith('Kling\n')) ?? ''
  const rows = section
    .split('\n')
    .filter((line) => /^\| `\d+\/\d+` /.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
  const wanted = errors.map(({ status, code, meaning, treatment }) => [
    `\`${status}/${code}\``,
    meaning,
    ...cellsOf(treatment),
  ])
  assert.deepEqual(rows, wanted)
})
