import hljs from 'highlight.js/lib/core'
import bash from 'highlight.js/lib/languages/bash'
import json from 'highlight.js/lib/languages/json'
import python from 'highlight.js/lib/languages/python'
import typescript from 'highlight.js/lib/languages/typescript'
import MarkdownIt, { type StateCore, type Token } from 'markdown-it'

for (const [name, language] of Object.entries({ sh: bash, json, python, ts: typescript })) {
  hljs.registerLanguage(name, language)
}

export interface Heading {
  level: number
  id: string
  text: string
}

export interface Rendered {
  html: string
  headings: Heading[]
}

// No HTML: whatever stands in the Markdown, no tag comes out that is not made here.
const markdown = new MarkdownIt({ html: false, linkify: false, typographer: false })
markdown.core.ruler.push('tabs', joinTabs)
markdown.core.ruler.push('headings', ({ tokens, env }) => nameHeadings(tokens, env as Env))
markdown.core.ruler.push('cells', ({ tokens }) => void labelCells(tokens))

const { rules } = markdown.renderer
const { escapeHtml } = markdown.utils
rules.fence = (tokens, index) => block(tokens[index]!)
rules.tabs = (tokens, index, _options, env) => tabs(tokens[index]!, env as Env)
rules.table_open = (tokens, index) =>
  `<div class="table" tabindex="0" role="group" aria-label="Table"><table class="${tokens[index]!.attrGet('class')}">`
rules.table_close = () => '</table></div>\n'
rules.code_inline = (tokens, index) => inlineCode(tokens[index]!.content)

type Env = {
  headings: Heading[]
  tabGroups: number
}

/** Makes a page's HTML, with an id on every heading, coloured code, and tabs where labelled code stands together. */
export function renderMarkdown(source: string): Rendered {
  const env: Env = { headings: [], tabGroups: 0 }
  return { html: markdown.render(source, env), headings: env.headings }
}

function coloured({ content, info }: Token): string {
  const language = info.split(' ')[0] ?? ''
  if (hljs.getLanguage(language) === undefined) return escapeHtml(content)
  return hljs.highlight(content, { language, ignoreIllegals: true }).value
}

// Scrolls sideways, so the keyboard must be able to reach it.
function block(token: Token): string {
  return `<div class="code"><pre tabindex="0"><code>${coloured(token)}</code></pre></div>\n`
}

const labelOf = (token: Token | undefined) =>
  token?.type === 'fence' ? token.info.split(' ').slice(1).join(' ') : ''

function joinTabs({ tokens, Token }: StateCore): void {
  for (let start = 0; start < tokens.length; start++) {
    let end = start
    while (labelOf(tokens[end]) !== '') end++
    if (end - start < 2) continue
    const joined = new Token('tabs', 'div', 0)
    joined.children = tokens.splice(start, end - start, joined)
  }
}

// Radio buttons, so that they work without a script; docs.js makes all of a page follow one choice.
function tabs(token: Token, env: Env): string {
  const group = `tabs-${++env.tabGroups}`
  const parts = (token.children ?? []).map((child, index) => {
    const label = escapeHtml(labelOf(child))
    const id = `${group}-${index + 1}`
    const checked = index === 0 ? ' checked' : ''
    return `<input type="radio" name="${group}" id="${id}" data-tab="${label}"${checked}><label for="${id}">${label}</label>${block(child)}`
  })
  return `<div class="tabs">${parts.join('')}</div>\n`
}

function nameHeadings(tokens: Token[], env: Env): void {
  const used = new Set<string>()
  for (const [index, token] of tokens.entries()) {
    if (token.type !== 'heading_open') continue
    const text = (tokens[index + 1]?.children ?? []).map((child) => child.content).join('')
    const id = unused(anchorOf(text), used)
    token.attrSet('id', id)
    const level = Number(token.tag.slice(1))
    if (level > 1) env.headings.push({ level, id, text })
  }
}

// Lower case, everything else than letters, digits and _ as one hyphen.
function anchorOf(text: string): string {
  return (
    text
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_]+/gu, '-')
      .replace(/^-|-$/g, '') || 'section'
  )
}

function unused(id: string, used: Set<string>): string {
  let found = id
  for (let number = 2; used.has(found); number++) found = `${id}-${number}`
  used.add(found)
  return found
}

// As many characters as a telephone has room for, in each of three columns and in the first of two.
const mostOfThree = 14
const mostOfFirst = 20

// Each cell carries its column's heading, under which a narrow screen shows it where the table does not fit.
function labelCells(tokens: Token[]): void {
  for (const [start, table] of tokens.entries()) {
    if (table.type !== 'table_open') continue
    const end = tokens.findIndex(({ type }, index) => index > start && type === 'table_close')
    const part = tokens.slice(start, end)
    const textsOf = (cell: string) =>
      part.flatMap(({ type }, index) => (type === cell ? [part[index + 1]?.content ?? ''] : []))
    const headings = textsOf('th_open')
    const isWide = textsOf('td_open').some((text, index) =>
      headings.length > 2
        ? text.length > mostOfThree
        : index % headings.length === 0 && text.length > mostOfFirst,
    )
    table.attrSet('class', `columns-${headings.length}${isWide ? ' stacked' : ''}`)
    const cells = part.filter(({ type }) => type === 'td_open')
    for (const [index, cell] of cells.entries()) {
      cell.attrSet('data-label', headings[index % headings.length] ?? '')
    }
  }
}

function inlineCode(text: string): string {
  const [, method, path] = /^(GET|POST|PUT|DELETE|PATCH|HEAD) (\/\S*)$/.exec(text) ?? []
  if (method === undefined) return `<code>${escapeHtml(text)}</code>`
  return `<code class="address"><b class="method ${method.toLowerCase()}">${method}</b> ${escapeHtml(path ?? '')}</code>`
}
