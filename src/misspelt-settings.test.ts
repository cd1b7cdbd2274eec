import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { knownSettings, misspeltSettings } from './misspelt-settings.ts'

const meant = {
  FILMGATE_DATADIR: 'FILMGATE_DATA_DIR',
  FILMGATE_LOGLEVEL: 'FILMGATE_LOG_LEVEL',
  filmgate_data_dir: 'FILMGATE_DATA_DIR',
  FILMGAT_DATA_DIR: 'FILMGATE_DATA_DIR',
  FILMGATE_APIKEY: 'FILMGATE_API_KEY',
  FILMGATE_PORT: 'PORT',
  FILMGATE_HOST: 'HOST',
  FILMGATE_DATABASE_URL: 'DATABASE_URL',
  filmgate_public_url: 'PUBLIC_URL',
  FILM_GATE_DATA_DIR: 'FILMGATE_DATA_DIR',
  FILMGATE_ALLOW_PRIVATE: 'FILMGATE_ALLOW_PRIVATE_NETWORK',
  PUBLIC_URI: 'PUBLIC_URL',
  DATABASE_URI: 'DATABASE_URL',
  DATABSE_URL: 'DATABASE_URL',
  S3_ENDPOINT_URL: 'S3_ENDPOINT',
  S3_ACCESS_KEY: 'S3_ACCESS_KEY_ID',
  S3_SECRET_KEY: 'S3_SECRET_ACCESS_KEY',
  KLING_APIKEY: 'KLING_API_KEY',
  FAL_KEY: 'FAL_API_KEY',
  WAVESPEED_BASEURL: 'WAVESPEED_BASE_URL',
}

test('a misspelt setting is named with the one that was meant, and its value is not shown', () => {
  for (const [name, setting] of Object.entries(meant)) {
    assert.deepEqual(misspeltSettings({ [name]: 'hunter2' }), [
      `${name} is not a setting and is not read: did you mean ${setting}?`,
    ])
  }
})

test('every variable that begins with FILMGATE_ and is no setting is named', () => {
  assert.deepEqual(misspeltSettings({ FILMGATE_WHOLLY_UNHEARD_OF_THING: '1' }), [
    'FILMGATE_WHOLLY_UNHEARD_OF_THING is not a setting and is not read: README.md lists the settings',
  ])
})

test('settings, what is empty and what belongs to other programs are not named', () => {
  const known = Object.fromEntries(knownSettings().map((name) => [name, 'x']))
  assert.deepEqual(misspeltSettings({ ...known, FILMGATE_DATADIR: ' ' }), [])
  const others = [
    'PATH',
    'HOME',
    'LOGNAME',
    'PGHOST',
    'DATABASE_NAME',
    'AWS_REGION',
    'PORTS',
    'HOSTNAME',
    'NODE_OPTIONS',
  ]
  assert.deepEqual(misspeltSettings(Object.fromEntries(others.map((name) => [name, 'x']))), [])
})

/** For tests of crashes: not for operators. */
const untold = ['FILMGATE_FAULT_POINT']

test("README's table of settings names every setting, and no other", () => {
  const readme = readFileSync(join(import.meta.dirname, '..', 'README.md'), 'utf8')
  const table = readme.slice(readme.indexOf('\n## Settings'), readme.indexOf('\n## Where the data lies'))
  const rows = table
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(2)
  const named = new Set(rows.flatMap((row) => row.split('|')[1]!.match(/[A-Z][A-Z0-9_]{3,}/g) ?? []))
  const known = knownSettings().filter((name) => !untold.includes(name))
  assert.deepEqual(
    [...named].filter((name) => !known.includes(name)),
    [],
    'not read',
  )
  assert.deepEqual(
    known.filter((name) => !named.has(name)),
    [],
    'not in the table',
  )
})
