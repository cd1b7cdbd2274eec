import { apiErrors } from '../errors.ts'
import { groupOf, inOrder, type Operation, slugOf } from './operation.ts'
import { type Known, sampleOf, samples } from './samples.ts'
import { answerTable, fieldTable } from './schema-table.ts'
import { code, fence, plain, sections, table } from './text.ts'

export const endpointPath = (operation: Operation) => `/docs/endpoints/${slugOf(operation)}`

/** `POST /v1/jobs/{jobId}/cancel` */
export function addressOf({ method, path }: Operation): string {
  return `${method} ${path.replace(/:(\w+)\+?/g, '{$1}')}`
}

/** The page of one operation, all of it from its declaration. */
export function endpointPage(operation: Operation, known: Known): string {
  return sections(
    `# ${plain(operation.name)}`,
    code(addressOf(operation)),
    operation.summary,
    operation.description,
    access(operation),
    fields('Path', operation.params),
    fields('Query', operation.query),
    fields('Headers', operation.headers),
    fields('Body', operation.body),
    operation.bodyType && `## Body\n\nThe bytes of the file, of type ${operation.bodyType}.`,
    '## Example',
    operation.sample === undefined ? samples(sampleOf(operation, known)) : fence('sh', operation.sample),
    '## Answer',
    operation.answerType === undefined
      ? sections(
          operation.isStream
            ? '`200 OK`, `text/event-stream`: server-sent events, each with an `id`, a name in `event`, and as `data`:'
            : '`200 OK`, with the header `x-request-id`.',
          fence('json', JSON.stringify(operation.example, null, 2)),
          answerTable(operation.answer),
        ).trimEnd()
      : `\`200 OK\`, with the bytes of the file: ${operation.answerType}.`,
    '## Errors',
    table(
      ['Code', 'Status', 'Meaning'],
      inOrder(operation.errors).map((name) => [
        `[${code(name)}](/docs/errors#${name.toLowerCase()})`,
        String(apiErrors[name].status),
        plain(apiErrors[name].meaning),
      ]),
    ),
  )
}

function access({ scope }: Operation): string {
  if (scope === undefined) return 'Needs no key.'
  if (scope === 'any') return 'Needs a key, of any scope: [authentication](/docs/authentication).'
  if (scope === 'admin') return 'Needs a key with the scope `admin`, which only operators have.'
  return `Needs a key with the scope ${code(scope)}: [authentication](/docs/authentication).`
}

function fields(title: string, schema: object | undefined): string | undefined {
  const rows = schema === undefined ? '' : fieldTable(schema)
  return rows === '' ? undefined : `## ${title}\n\n${rows}`
}

/** The list of all operations, by group. */
export function endpointsPage(operations: Operation[]): string {
  const groups = Map.groupBy(operations, groupOf)
  return sections(
    '# API reference',
    'Every operation of the API, each with its fields, an example in three languages and every error it can answer. The same as [OpenAPI 3.1](/openapi.json), and as an [interactive reference](/docs/api) that sends requests for you.',
    ...[...groups].map(([group, members]) =>
      sections(
        `## ${group}`,
        table(
          ['Operation', 'Address', ''],
          members.map((operation) => [
            `[${plain(operation.name)}](${endpointPath(operation)})`,
            code(addressOf(operation)),
            operation.summary,
          ]),
        ),
      ).trimEnd(),
    ),
  )
}
