import { html } from './html.ts'

/** The page of the interactive reference: the library draws it from /openapi.json. */
export function referenceDocument(assets: string): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Interactive reference · filmgate</title>
<meta name="description" content="Every operation of the filmgate API, to be tried in the browser.">
<link rel="icon" type="image/svg+xml" href="${assets}/favicon.svg">
</head>
<body>
<div id="reference"></div>
<noscript>The interactive reference needs JavaScript. <a href="/docs/endpoints">The same without</a>.</noscript>
<script src="${assets}/scalar.js"></script>
<script src="${assets}/reference.js"></script>
</body>
</html>
`.text
}

/**
 * Scalar's script for browsers, 4 MB. Its package for Fastify carries it within its code and hands it out by a route
 * only; it takes a fifth of a second to load, so it waits for the first reader.
 */
export async function loadReferenceScript(): Promise<string> {
  const [{ default: fastify }, { default: scalar }] = await Promise.all([
    import('fastify'),
    import('@scalar/fastify-api-reference'),
  ])
  const app = fastify()
  await app.register(scalar, { routePrefix: '/reference', configuration: { url: '/openapi.json' } })
  const { body } = await app.inject('/reference/js/scalar.js')
  await app.close()
  return body
}
