import { html } from './html.ts'
import { document, type Frame } from './layout.ts'
import type { SearchResult } from './search.ts'

/** What a search found; for those without a script, and for all who press Enter. */
export function searchDocument(frame: Frame, query: string, results: SearchResult[]): string {
  const body = html`<h1>Search</h1>
<form class="search-page" action="/docs/search"><input type="search" name="q" value="${query}" aria-label="Search the documentation" maxlength="200"><button>Search</button></form>
<p>${results.length === 0 ? 'Nothing found.' : `${results.length} found.`}</p>
<ul class="found">${results.map(
    (result) =>
      html`<li><a href="${result.path}">${result.title}</a><small>${result.section}</small><p>${result.description}</p></li>`,
  )}</ul>`
  return document(frame, {
    title: 'Search',
    description: 'Search the documentation.',
    className: 'searching',
    body: { html: body.text, headings: [] },
  })
}

/** Says that there is no such page, and where to look. */
export function missingDocument(frame: Frame): string {
  const body = html`<h1>There is no such page</h1>
<p>It may have moved, or the model is not public. Look for it:</p>
<form class="search-page" action="/docs/search"><input type="search" name="q" aria-label="Search the documentation" maxlength="200"><button>Search</button></form>
<p><a href="/docs">Overview</a> · <a href="/docs/models">All models</a> · <a href="/docs/endpoints">All operations</a></p>`
  return document(frame, {
    title: 'Not found',
    description: 'There is no such page.',
    className: 'searching',
    body: { html: body.text, headings: [] },
  })
}
