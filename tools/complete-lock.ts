// Run by `npm run lock`. npm leaves a platform's optional package out of the lock file where the registry in use has
// none of that version, and `npm ci` then refuses the lock file as incomplete. This adds the missing entries as npm
// writes them, so that other platforms ask for them and this one skips them, with the integrity hash that the registry
// tells: without one npm would install whatever comes under that name. Of what the registry has none, nothing stays, not
// even the wish for it; a run with a registry that has it brings it back.
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'

interface Entry {
  version?: string
  integrity?: string
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
const leftOut: string[] = []

for (const [key, entry] of Object.entries(lock.packages)) {
  if (key === '' || entry.optionalDependencies === undefined) continue
  const told = await view(`${nameOf(key)}@${entry.version}`, 'optionalDependencies')
  entry.optionalDependencies = sorted({
    ...(told === '' ? {} : JSON.parse(told)),
    ...entry.optionalDependencies,
  })
}

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

for (const [key, entry] of Object.entries(lock.packages)) {
  if (key === '' || entry.integrity !== undefined) continue
  const integrity = await view(`${nameOf(key)}@${entry.version}`, 'dist.integrity')
  if (integrity !== '') lock.packages[key] = { version: entry.version!, integrity, ...entry }
  else leaveOut(key)
}

lock.packages = sorted(lock.packages)
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`)
console.log(added.length === 0 ? 'the lock file was complete' : `added ${added.join(', ')}`)
if (leftOut.length > 0) console.log(`left out, as this registry has none: ${leftOut.join(', ')}`)

/** In the order that npm writes. */
function sorted<T>(record: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => a.localeCompare(b, 'en')))
}

function nameOf(key: string): string {
  return key.slice(key.lastIndexOf('node_modules/') + 'node_modules/'.length)
}

function leaveOut(key: string): void {
  leftOut.push(nameOf(key))
  delete lock.packages[key]
  for (const { optionalDependencies } of Object.values(lock.packages)) {
    delete optionalDependencies?.[nameOf(key)]
  }
}

/** The platform that a package like @napi-rs/canvas-linux-arm64-gnu is for. */
function platformOf(name: string): Entry {
  const match = /-(android|darwin|freebsd|linux|openharmony|win32)-(\w+)(?:-(\w+))?$/.exec(name)
  if (match === null) throw new Error(`${name} names no platform`)
  const [, os = '', cpu = '', abi] = match
  const libc = abi === 'gnu' ? ['glibc'] : abi === 'musl' ? ['musl'] : undefined
  return { ...(os === 'linux' && libc && { libc }), os: [os], cpu: [cpu] }
}

/** A field of one version of a package as the registry tells it; empty where it has none. */
async function view(exact: string, field: string): Promise<string> {
  const asJson = field === 'optionalDependencies' ? ['--json'] : []
  const { stdout } = await promisify(execFile)('npm', ['view', exact, field, ...asJson]).catch((error) => {
    if (/E404/.test(error.stdout + error.stderr)) return { stdout: '' }
    throw error
  })
  return stdout.trim()
}
