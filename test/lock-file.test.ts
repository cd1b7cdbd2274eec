import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const path = join(import.meta.dirname, '..', 'package-lock.json')
const { packages } = JSON.parse(readFileSync(path, 'utf8')) as {
  packages: Record<
    string,
    {
      version: string
      integrity?: string
      resolved?: string
      link?: boolean
      optionalDependencies?: Record<string, string>
    }
  >
}
const entries = Object.entries(packages).filter(([key, { link }]) => key !== '' && !link)

test('every entry of the lock file has the hash that its package must have', () => {
  assert.ok(entries.length > 300)
  const hashless = entries.filter(([, { integrity }]) => !/^sha512-[\w+/]{86}==$/.test(integrity ?? ''))
  assert.deepEqual(
    hashless.map(([key]) => key),
    [],
    'run "npm run lock"',
  )
})

test('what a package of the lock file wants is in it, or npm ci would refuse it', () => {
  const wanted = entries.flatMap(([, { optionalDependencies = {} }]) => Object.keys(optionalDependencies))
  const names = new Set(entries.map(([key]) => key.slice(key.lastIndexOf('node_modules/') + 13)))
  assert.deepEqual(
    wanted.filter((name) => !names.has(name)),
    [],
  )
})

test('no entry of the lock file names a registry', () => {
  assert.deepEqual(
    entries.filter(([, { resolved }]) => resolved !== undefined).map(([key]) => key),
    [],
  )
})
