export const sectionNames = ['Guides', 'API', 'Models'] as const

/** One page, in Markdown; its HTML, its .md file and its part of llms-full.txt are all made of that. */
export interface Page {
  /** From `/docs` on, without extension. */
  path: string
  title: string
  /** One sentence for search results, llms.txt and the meta tag. */
  description: string
  section: (typeof sectionNames)[number]
  /** What the navigation lists it under within its section. */
  group?: string | undefined
  /** What search finds it by beside title and description; the whole text if it is left out. */
  keywords?: string
  markdown(): string
}

/** Where the Markdown of a page is. */
export function markdownPath(path: string): string {
  return path === '/docs' ? '/docs/index.md' : `${path}.md`
}
