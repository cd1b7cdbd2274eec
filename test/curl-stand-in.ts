// Stands in for curl on machines without one: the options that the samples of the docs use, and the status on stderr.
import { readFileSync, writeFileSync } from 'node:fs'

const headers = new Headers()
let url = ''
let method: string | undefined
let body: string | Uint8Array<ArrayBuffer> | undefined
let output: string | undefined
const rest = process.argv.slice(2)
for (let option = rest.shift(); option !== undefined; option = rest.shift()) {
  if (option === '-X') method = rest.shift()
  else if (option === '-H') {
    const [, name = '', value = ''] = /^([^:]+): *(.*)$/s.exec(rest.shift() ?? '') ?? []
    headers.set(name, value)
  } else if (option === '-d') body = rest.shift()
  else if (option === '--data-binary')
    body = new Uint8Array(readFileSync((rest.shift() ?? '').replace(/^@/, '')))
  else if (option === '--output') output = rest.shift()
  else if (!['--globoff', '--no-buffer'].includes(option)) url = option
}
const answer = await fetch(url, {
  method: method ?? (body === undefined ? 'GET' : 'POST'),
  headers,
  ...(body !== undefined && { body }),
})
const bytes = Buffer.from(await answer.arrayBuffer())
if (output === undefined) process.stdout.write(bytes)
else writeFileSync(output, bytes)
process.stderr.write(`${answer.status}\n`)
