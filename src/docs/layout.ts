import { Html, html } from './html.ts'
import type { Heading, Rendered } from './markdown.ts'
import { markdownPath, type Page, sectionNames } from './page.ts'

/** What every page shows around its own text. */
export interface Frame {
  pages: Page[]
  origin: string
  /** The folder of style, script and fonts, named after what is in them. */
  assets: string
}

interface Content {
  title: string
  description: string
  /** Of the page in the navigation; undefined for what is not in it. */
  path?: string
  /** The same in Markdown, where there is one. */
  markdownPath?: string
  className: string
  body: Rendered
}

/** A page of the site as a whole HTML document. */
export function document(frame: Frame, content: Content): string {
  const { assets, origin } = frame
  const { title, description, path, body } = content
  const fullTitle = path === '/docs' ? 'filmgate documentation' : `${title} · filmgate`
  return html`<!doctype html>
<html lang="en" class="no-script">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${fullTitle}</title>
<meta name="description" content="${description}">
<meta property="og:title" content="${title}">
<meta property="og:description" content="${description}">
<meta name="color-scheme" content="light dark">
${path === undefined ? html`<meta name="robots" content="noindex">` : html`<link rel="canonical" href="${origin}${path}">`}
${content.markdownPath === undefined ? undefined : html`<link rel="alternate" type="text/markdown" href="${content.markdownPath}">`}
<link rel="icon" type="image/svg+xml" href="${assets}/favicon.svg">
<link rel="preload" as="font" type="font/woff2" crossorigin href="${assets}/inter-400.woff2">
<link rel="preload" as="font" type="font/woff2" crossorigin href="${assets}/inter-600.woff2">
<link rel="stylesheet" href="${assets}/docs.css">
<script src="${assets}/docs.js"></script>
</head>
<body class="${content.className}">
<a class="skip" href="#content">Skip to the text</a>
<header>
<button type="button" class="menu" popovertarget="navigation" aria-label="Menu">${icon('M4 7h16M4 12h16M4 17h16')}</button>
<a class="brand" href="/docs">${mark}<span>filmgate</span></a>
<form class="search" action="/docs/search" role="search">
<input type="search" name="q" placeholder="Search" aria-label="Search the documentation" autocomplete="off" maxlength="200">
<kbd aria-hidden="true">/</kbd>
<div class="results" role="listbox" aria-label="Search results" hidden></div>
</form>
<nav class="top" aria-label="Sections"><a href="/docs/quickstart">Guides</a><a href="/docs/endpoints">API</a><a href="/docs/models">Models</a></nav>
<button type="button" class="theme" aria-label="Light or dark">${icon('M12 3v18a9 9 0 0 0 0-18Z M12 3a9 9 0 0 0 0 18')}</button>
</header>
<div class="columns">
<nav id="navigation" popover aria-label="Pages">${navigation(frame.pages, path)}</nav>
<main id="content" tabindex="-1">
<article>${new Html(body.html)}</article>
${content.markdownPath === undefined ? undefined : html`<footer><a href="${content.markdownPath}">This page as Markdown</a><a href="/docs/llms.txt">llms.txt</a><a href="/openapi.json">OpenAPI</a></footer>`}
</main>
<aside aria-label="On this page">${contents(body.headings)}</aside>
</div>
</body>
</html>
`.text
}

/** The document of a page of the site. */
export function pageDocument(frame: Frame, page: Page, body: Rendered): string {
  const { title, description, path } = page
  const className =
    path === '/docs' ? 'home' : path === '/docs/models' ? 'models list' : page.section.toLowerCase()
  return document(frame, { title, description, path, markdownPath: markdownPath(path), className, body })
}

const icon = (path: string) =>
  html`<svg viewBox="0 0 24 24" width="20" height="20" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" aria-hidden="true"><path d="${path}"/></svg>`

const mark = html`<svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true"><rect width="32" height="32" rx="8" fill="var(--accent)"/><path d="M8 9h16M8 23h16" stroke="#fff" stroke-width="2.4" stroke-dasharray="2.6 2.6"/><path d="M13 12.5v7l6.4-3.5z" fill="#fff"/></svg>`

function navigation(pages: Page[], current: string | undefined): Html[] {
  return sectionNames.map((name) => {
    const members = pages.filter((page) => page.section === name)
    const groups = Map.groupBy(members, ({ group }) => group)
    const alone = groups.get(undefined) ?? []
    const extra = name === 'API' ? html`<li><a href="/docs/api">Interactive reference</a></li>` : undefined
    return html`<section><h2>${name}</h2><ul>${alone.map((page) => entry(page, current))}${extra}</ul>${[
      ...groups,
    ].map(([group, listed]) => (group === undefined ? undefined : folder(group, listed, current)))}</section>`
  })
}

function folder(group: string, pages: Page[], current: string | undefined): Html {
  const open = pages.some(({ path }) => path === current) ? html` open` : undefined
  return html`<details${open}><summary>${group}<small>${pages.length}</small></summary><ul>${pages.map((page) => entry(page, current))}</ul></details>`
}

function entry({ path, title }: Page, current: string | undefined): Html {
  const isCurrent = path === current ? html` aria-current="page"` : undefined
  return html`<li><a href="${path}"${isCurrent}>${title}</a></li>`
}

const mostEntries = 24

// The second level is left out where it would make a list longer than the screen.
function contents(headings: Heading[]): Html | undefined {
  const levels = headings.length > mostEntries ? [2] : [2, 3]
  const shown = headings.filter(({ level }) => levels.includes(level))
  if (shown.length < 2) return undefined
  return html`<h2>On this page</h2><ul>${shown.map(
    ({ id, text, level }) => html`<li class="level-${level}"><a href="#${id}">${text}</a></li>`,
  )}</ul>`
}
