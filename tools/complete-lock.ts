// Run by `npm run lock`. npm leaves a platform's optional package out of the lock file where the registry in use has
// none of that version, and `npm ci` then refuses the lock file as incomplete. This adds the missing entries as npm
// writes them, so that other platforms ask for them and this one skips them. Each entry without an integrity hash then
// gets the one that the registry tells: without it npm would install whatever comes under that name.
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
const withoutHash: string[] = []

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
  const name = key.slice(key.lastIndexOf('node_modules/') + 'node_modules/'.length)
  const integrity = await integrityOf(`${name}@${entry.version}`)
  if (integrity === undefined) withoutHash.push(`${name}@${entry.version}`)
  else lock.packages[key] = { version: entry.version!, integrity, ...entry }
}

lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`)
console.log(added.length === 0 ? 'the lock file was complete' : `added ${added.join(', ')}`)
if (withoutHash.length > 0)
  console.log(`this registry has no ${withoutHash.join(', ')}: they stay without a hash`)

/** The platform that a package like @napi-rs/canvas-linux-arm64-gnu is for. */
function platformOf(name: string): Entry {
  const match = /-(android|darwin|freebsd|linux|openharmony|win32)-(\w+)(?:-(\w+))?$/.exec(name)
  if (match === null) throw new Error(`${name} names no platform`)
  const [, os = '', cpu = '', abi] = match
  const libc = abi === 'gnu' ? ['glibc'] : abi === 'musl' ? ['musl'] : undefined
  return { ...(os === 'linux' && libc && { libc }), os: [os], cpu: [cpu] }
}

/** The hash of one version of a package; undefined where the registry in use has none of it. */
async function integrityOf(exact: string): Promise<string | undefined> {
  const { stdout } = await promisify(execFile)('npm', ['view', exact, 'dist.integrity']).catch((error) => {
    if (/E404/.test(error.stdout + error.stderr)) return { stdout: '' }
    throw error
  })
  return stdout.trim() || undefined
}
