import { markdownPath, type Page, sectionNames } from './page.ts'
import { sections } from './text.ts'

/** The index of all pages in the form of llmstxt.org. */
export function llmsIndex(pages: Page[], origin: string): string {
  return sections(
    '# filmgate',
    `> ${pages[0]!.description}`,
    `Every page is Markdown under the links below; [all of them in one file](${origin}/docs/llms-full.txt), and [OpenAPI 3.1](${origin}/openapi.json).`,
    ...sectionNames.map((name) => {
      const links = pages
        .filter(({ section }) => section === name)
        .map(({ path, title, description }) => `- [${title}](${origin}${markdownPath(path)}): ${description}`)
      return links.length === 0 ? '' : `## ${name}\n\n${links.join('\n')}`
    }),
  )
}

/** All pages one after the other, each below its own address. */
export function llmsFull(pages: Page[], origin: string): string {
  return pages
    .map(({ path, markdown }) => `<!-- ${origin}${markdownPath(path)} -->\n\n${markdown()}`)
    .join('\n---\n\n')
}
