import type { Operation } from './operation.ts'
import { fence, sections } from './text.ts'

/** One request to show, with `$NAMES` in the path for what only the reader knows. */
export interface SampleRequest {
  method: string
  url: string
  hasKey: boolean
  body?: unknown
  /** What comes are server-sent events. */
  isStream?: true | undefined
}

/** What samples can name without the reader: the server, and ids of what there is, by the name of the parameter. */
export interface Known {
  origin: string
  ids: Record<string, string>
}

/** The request as curl, TypeScript and Python, one tab each. */
export function samples(request: SampleRequest): string {
  return sections(
    fence('sh', curl(request), 'curl'),
    fence('ts', request.isStream ? typescriptOfEvents(request) : typescript(request), 'TypeScript'),
    fence('python', request.isStream ? pythonOfEvents(request) : python(request), 'Python'),
  ).trimEnd()
}

/** The request that an operation's declaration gives as its example. */
export function sampleOf(operation: Operation, { origin, ids }: Known): SampleRequest {
  const { method, exampleBody, scope, isStream } = operation
  const path = operation.path.replace(/:(\w+)\+?/g, (_, name: string) => {
    const full = idName(name, operation.path)
    return ids[full] ?? `$${variable(full)}`
  })
  const url = `${origin}${path}`
  const body = exampleBody === undefined ? {} : { body: exampleBody }
  return { method, url, hasKey: scope !== undefined, isStream, ...body }
}

/** An `:id` is named for the noun before it: jobId in /jobs/:id. */
function idName(name: string, path: string): string {
  const noun = /\/([a-z-]+?)s?\/:id\b/.exec(path)?.[1]
  return name === 'id' && noun !== undefined ? `${noun}Id` : name
}

// jobId → JOB_ID
function variable(name: string): string {
  return name
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toUpperCase()
}

/** Stands in example bodies for an address of the reader's own. */
const ownReceiver = 'https://example.com/hooks/filmgate'

function curl({ method, url, hasKey, body, isStream }: SampleRequest): string {
  const quoted = /[$&?]/.test(url) ? `"${url}"` : url
  const lines = [
    `curl ${isStream ? '--no-buffer ' : ''}${method === 'GET' ? '' : `-X ${method} `}${quoted}`,
    ...(hasKey ? ['-H "Authorization: Bearer $FILMGATE_API_KEY"'] : []),
    ...(body === undefined ? [] : ['-H "Content-Type: application/json"', `-d '${shellQuoted(body)}'`]),
  ]
  return lines.join(' \\\n  ')
}

function typescript({ method, url, hasKey, body }: SampleRequest): string {
  const headers = [
    ...(hasKey ? [`    Authorization: \`Bearer \${process.env.FILMGATE_API_KEY}\`,`] : []),
    ...(body === undefined ? [] : ["    'Content-Type': 'application/json',"]),
  ]
  const options = [
    ...(method === 'GET' ? [] : [`  method: '${method}',`]),
    ...(headers.length === 0 ? [] : ['  headers: {', ...headers, '  },']),
    ...(body === undefined
      ? []
      : [
          `  body: JSON.stringify(${indented(body, 1).replace(`"${ownReceiver}"`, 'process.env.WEBHOOK_URL')}),`,
        ]),
  ]
  return [
    `const response = await fetch(${typescriptAddress(url)}${options.length === 0 ? ')' : `, {\n${options.join('\n')}\n})`}`,
    'const answer = await response.json()',
    `if (!response.ok) throw new Error(\`\${answer.error.code}: \${answer.error.message}\`)`,
    'console.log(answer)',
  ].join('\n')
}

function typescriptAddress(url: string): string {
  if (!url.includes('$')) return `'${url}'`
  return `\`${url.replace(/\$([A-Z_]+)/g, (_, name) => `\${process.env.${name}}`)}\``
}

// Its loop ends when the server says that nothing will come any more.
function typescriptOfEvents({ url }: SampleRequest): string {
  return `import { createEventSource } from 'eventsource-client'

const events = createEventSource({
  url: ${typescriptAddress(url)},
  headers: { Authorization: \`Bearer \${process.env.FILMGATE_API_KEY}\` },
})
for await (const { event, data } of events) console.log(event, JSON.parse(data))`
}

function python({ method, url, hasKey, body }: SampleRequest): string {
  const isFilled = url.includes('$')
  const lines = [
    `    ${pythonAddress(url)},`,
    ...(hasKey ? [`    headers={"Authorization": f"Bearer {os.environ['FILMGATE_API_KEY']}"},`] : []),
    ...(body === undefined
      ? []
      : [`    json=${pythonLiteral(body, 1).replace(`"${ownReceiver}"`, 'os.environ["WEBHOOK_URL"]')},`]),
    '    timeout=60,',
  ]
  return [
    ...(hasKey || isFilled ? ['import os', ''] : []),
    'import requests',
    '',
    `response = requests.${method.toLowerCase()}(`,
    ...lines,
    ')',
    'answer = response.json()',
    'if not response.ok:',
    `    raise RuntimeError(f"{answer['error']['code']}: {answer['error']['message']}")`,
    'print(answer)',
  ].join('\n')
}

function pythonAddress(url: string): string {
  if (!url.includes('$')) return `"${url}"`
  return `f"${url.replace(/\$([A-Z_]+)/g, (_, name) => `{os.environ['${name}']}`)}"`
}

function pythonOfEvents({ url }: SampleRequest): string {
  return `import json
import os

import requests

response = requests.get(
    ${pythonAddress(url)},
    headers={"Authorization": f"Bearer {os.environ['FILMGATE_API_KEY']}"},
    stream=True,
    timeout=60,
)
response.raise_for_status()
for line in response.iter_lines(decode_unicode=True):
    field, _, value = line.partition(":")
    if field == "data":
        print(json.loads(value))`
}

function shellQuoted(body: unknown): string {
  const text = indented(body, 1).replaceAll("'", "'\\''")
  return text.replace(ownReceiver, "'$WEBHOOK_URL'")
}

/** JSON whose further lines are indented by so many steps. */
export function indented(value: unknown, steps: number): string {
  return JSON.stringify(value, null, 2).replaceAll('\n', `\n${'  '.repeat(steps)}`)
}

/** A JSON value as Python writes it. */
export function pythonLiteral(value: unknown, depth = 0): string {
  const inner = '    '.repeat(depth + 1)
  const end = `\n${'    '.repeat(depth)}`
  if (value === null || value === undefined) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value !== 'object') return JSON.stringify(value)
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]'
    return `[\n${value.map((item) => `${inner}${pythonLiteral(item, depth + 1)},\n`).join('')}${end.slice(1)}]`
  }
  const entries = Object.entries(value)
  if (entries.length === 0) return '{}'
  const lines = entries.map(
    ([name, item]) => `${inner}${JSON.stringify(name)}: ${pythonLiteral(item, depth + 1)},\n`,
  )
  return `{\n${lines.join('')}${end.slice(1)}}`
}
