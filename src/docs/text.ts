/** Text of somebody else as Markdown that shows it as it stands: one line, no markup. */
export function plain(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/[\\`*[\]<>|~&]/g, '\\$&')
    .replace(/(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu, '\\_')
    .replace(/^(\d*)(?=#{1,6} |[-+.)] |=|-+$)/, '$1\\')
}

/** Text as code within a line; a bar is escaped, since it would end a table's cell. */
export function code(text: string): string {
  const line = text.replace(/\s+/g, ' ').replaceAll('|', '\\|')
  const ticks = '`'.repeat(1 + Math.max(0, ...[...line.matchAll(/`+/g)].map(([run]) => run.length)))
  return ticks.length === 1 ? `\`${line}\`` : `${ticks} ${line} ${ticks}`
}

/** A block of code. `label` names the tab where several blocks stand together. */
export function fence(language: string, text: string, label?: string): string {
  const ticks = '`'.repeat(Math.max(3, ...[...text.matchAll(/`+/g)].map(([run]) => run.length + 1)))
  return `${ticks}${language}${label === undefined ? '' : ` ${label}`}\n${text}\n${ticks}`
}

/** A table of cells that are Markdown already; nothing where there are no rows. */
export function table(headings: string[], rows: string[][]): string {
  if (rows.length === 0) return ''
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  return [line(headings), line(headings.map(() => '---')), ...rows.map(line)].join('\n')
}

/** Parts with an empty line between them; empty parts are left out. */
export function sections(...parts: (string | undefined)[]): string {
  return `${parts.filter((part) => part !== undefined && part !== '').join('\n\n')}\n`
}
