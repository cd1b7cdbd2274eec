import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface Asset {
  type: string
  body: Buffer
}

const own = (name: string) => `${import.meta.dirname}/assets/${name}`
const inter = (weight: number) =>
  fileURLToPath(import.meta.resolve(`@fontsource/inter/files/inter-latin-${weight}-normal.woff2`))

const files: Record<string, [string, string]> = {
  'docs.css': ['text/css; charset=utf-8', own('docs.css')],
  'docs.js': ['text/javascript; charset=utf-8', own('docs.js')],
  'reference.js': ['text/javascript; charset=utf-8', own('reference.js')],
  'favicon.svg': ['image/svg+xml', own('favicon.svg')],
  'inter-400.woff2': ['font/woff2', inter(400)],
  'inter-600.woff2': ['font/woff2', inter(600)],
}

/** Style, script and fonts, and the folder to serve them from: its name changes with their content. */
export function loadAssets(): { folder: string; assets: Map<string, Asset> } {
  const assets = new Map<string, Asset>()
  const hash = createHash('sha256')
  for (const [name, [type, path]] of Object.entries(files)) {
    const body = readFileSync(path)
    assets.set(name, { type, body })
    hash.update(body)
  }
  return { folder: `/docs/assets/${hash.digest('hex').slice(0, 12)}`, assets }
}
