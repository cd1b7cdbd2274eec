import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const path = join(import.meta.dirname, '..', 'package-lock.json')
const { packages } = JSON.parse(readFileSync(path, 'utf8')) as {
  packages: Record<string, { version: string; integrity?: string; resolved?: string; link?: boolean }>
}
const entries = Object.entries(packages).filter(([key, { link }]) => key !== '' && !link)

/** The registry that wrote the lock file serves these of no version; `npm run lock` fills them in where one does. */
const notServed = ['darwin-arm64', 'darwin-x64', 'linux-arm-gnueabihf', 'linux-arm64-gnu', 'linux-arm64-musl']
  .concat(['win32-arm64-msvc', 'win32-x64-msvc'])
  .map((platform) => `node_modules/@napi-rs/webcodecs-${platform}`)

test('every entry of the lock file has the hash that its package must have', () => {
  assert.ok(entries.length > 300)
  const hashless = entries.filter(([, { integrity }]) => !/^sha512-[\w+/]{86}==$/.test(integrity ?? ''))
  const unexpected = hashless.filter(([key]) => !notServed.includes(key))
  assert.deepEqual(
    unexpected.map(([key]) => key),
    [],
    'run "npm run lock"',
  )
})

test('no entry of the lock file names a registry', () => {
  assert.deepEqual(
    entries.filter(([, { resolved }]) => resolved !== undefined).map(([key]) => key),
    [],
  )
})
