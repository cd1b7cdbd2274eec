// Run by `npm run lock`. npm leaves a platform's optional package out of the lock file where the registry in use has
// none of that version, and `npm ci` then refuses the lock file as incomplete. This adds the missing entries as npm
// writes them, so that other platforms ask for them and this one skips them.
import { readFileSync, writeFileSync } from 'node:fs'

interface Entry {
  version?: string
  optional?: boolean
  dev?: boolean
  os?: string[]
  cpu?: string[]
  libc?: string[]
  optionalDependencies?: Record<string, string>
}

const path = 'package-lock.json'
const lock = JSON.parse(readFileSync(path, 'utf8')) as { packages: Record<string, Entry> }
const added: string[] = []

for (const [parent, entry] of Object.entries(lock.packages)) {
  if (parent === '') continue
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`
    if (lock.packages[key] !== undefined || lock.packages[`${parent}/${key}`] !== undefined) continue
    if (!/^\d+\.\d+\.\d+$/.test(version))
      throw new Error(`${parent} wants ${name} ${version}, which is no exact version`)
    lock.packages[key] = { version, ...(entry.dev && { dev: true }), optional: true, ...platformOf(name) }
    added.push(`${name}@${version}`)
  }
}

lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`)
console.log(added.length === 0 ? 'the lock file was complete' : `added ${added.join(', ')}`)

/** The platform that a package like @napi-rs/canvas-linux-arm64-gnu is for. */
function platformOf(name: string): Entry {
  const match = /-(android|darwin|freebsd|linux|openharmony|win32)-(\w+)(?:-(\w+))?$/.exec(name)
  if (match === null) throw new Error(`${name} names no platform`)
  const [, os = '', cpu = '', abi] = match
  const libc = abi === 'gnu' ? ['glibc'] : abi === 'musl' ? ['musl'] : undefined
  return { ...(os === 'linux' && libc && { libc }), os: [os], cpu: [cpu] }
}
