import MiniSearch from 'minisearch'
import type { Page } from './page.ts'

export interface SearchResult {
  path: string
  title: string
  description: string
  section: string
}

// A guide is what most are after.
const weights: Record<Page['section'], number> = { Guides: 4, API: 2, Models: 1 }

/** Answers the pages that fit a query best; words may be begun only, or slightly misspelt. */
export function createSearch(pages: Page[]): (query: string) => SearchResult[] {
  const index = new MiniSearch<{ id: number; title: string; description: string; text: string }>({
    fields: ['title', 'description', 'text'],
    // slugs and field names are found by their parts, too
    tokenize: (text) => text.split(/[^\p{L}\p{N}]+/u),
    processTerm: (term) => term.toLowerCase().replace(/(?<=\w{3})s$/, ''),
    searchOptions: {
      boost: { title: 5, description: 2 },
      combineWith: 'AND',
      // a letter begins too many words to look through for it
      prefix: (term) => term.length > 1,
      fuzzy: (term) => (term.length > 4 ? 0.2 : false),
      boostDocument: (id) => weights[pages[id]!.section],
    },
  })
  index.addAll(
    pages.map(({ title, description, keywords, markdown }, id) => ({
      id,
      title,
      description,
      text: keywords ?? markdown(),
    })),
  )
  return (query) =>
    index
      .search(words(query))
      .slice(0, 20)
      .flatMap(({ id }) => pages[id] ?? [])
      .map(({ path, title, description, section }) => ({ path, title, description, section }))
}

const mostWords = 8

// Each costs a walk through the index; what comes after so many tells nothing more.
function words(query: string): string {
  const all = query
    .slice(0, 200)
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
  return [...new Set(all)].slice(0, mostWords).join(' ')
}
