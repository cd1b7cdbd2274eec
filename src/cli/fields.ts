import { parser, refuse } from './arguments.ts'

interface Named {
  name: string
  /** Written as field[]=…: a list even if it stays the only one. */
  isList: boolean
}

/** A field of a job's input with its value. */
export interface ValueField extends Named {
  value: unknown
}

/** A field of a job's input whose value will be the URL of a file that is yet to be uploaded. */
export interface FileField extends Named {
  file: string
}

export type Field = ValueField | FileField

/** How fields are written, for the help. */
export const fieldsHelp = `
Fields of the input:
  field=text        text; the server takes "5" or "true" for a number or a truth value
  field='[…]'       JSON, where it starts with [ or {
  field:=json       any JSON, also to have text taken as it is: prompt:='"@home"'
  field=a field=b   a list: the field given twice; field[]=a for a list of one`

/** Reads one `field=value` after those before it, as commander calls it. */
export const readField = parser<Field[]>('field', read, { repeats: true })

function read(text: string, before: Field[] = []): Field[] {
  const [, name, list, sign, value] = /^([A-Za-z_][\w-]*)(\[\])?(:?=)(.*)$/s.exec(text) ?? []
  if (name === undefined || value === undefined) {
    return refuse('write it as field=value, field:=json or field=@file, like duration=10')
  }
  const named = { name, isList: list !== undefined }
  if (sign === ':=') return [...before, { ...named, value: readJson(value) }]
  if (value.startsWith('@')) return [...before, { ...named, file: value.slice(1) }]
  return [...before, { ...named, value: readText(value) }]
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return refuse('what follows := is not valid JSON: write it like tags:=\'["a"]\'')
  }
}

// A prompt may begin with a bracket as well: what is no JSON is text.
function readText(text: string): unknown {
  if (!/^[[{]/.test(text)) return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** The input that the fields make up; a field given more than once is a list. */
export function toInput(fields: ValueField[]): Record<string, unknown> {
  const entries = Map.groupBy(fields, (field) => field.name)
  return Object.fromEntries(
    [...entries].map(([name, same]) => {
      const values = same.map((field) => field.value)
      return [name, values.length > 1 || same[0]?.isList ? values : values[0]]
    }),
  )
}
