import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { cloneDatabase } from './database.ts'

const root = join(import.meta.dirname, '..')
// in TypeScript a method of an interface is declared as now(): …
const bareTime =
  /(?<![\w.])now\s*\(\s*\)(?!: )|\b(?:(?:clock|transaction|statement)_timestamp|timeofday)\s*\(|\b(?:current_(?:timestamp|date|time)|localtime(?:stamp)?)\b|'(?:now|today|tomorrow|yesterday)'\s*::/gi
const functionsOfTheClock = /create function (?:filmgate_now|queue_now)\(\).*?\$\$.*?\$\$/gs
const commentsOf = { sql: /--.*$/gm, ts: /^[^\S\n]*\/\*.*?\*\/|^[^\S\n]*\/\/[^\n]*$/gms }

function bareTimesIn(text: string, language: 'sql' | 'ts'): string[] {
  const code = text.replace(commentsOf[language], '').replace(functionsOfTheClock, '')
  return code.match(bareTime) ?? []
}

const read = (file: string) => readFileSync(join(root, file), 'utf8')

test('every migration from 0009 on reads the time from filmgate_now() or queue_now()', () => {
  const files = globSync('sql/*.sql', { cwd: root }).filter((file) => file >= 'sql/0009')
  assert.ok(files.length >= 2)
  for (const file of files) assert.deepEqual(bareTimesIn(read(file), 'sql'), [], file)
})

test('no SQL in src reads the time from anything else', () => {
  // what PostgreSQL tells of its own connections is told by its own clock
  const exempt = ['src/postgres/lock-waits.ts']
  const files = globSync('src/**/*.ts', { cwd: root }).filter(
    (file) => !file.endsWith('.test.ts') && !exempt.includes(file),
  )
  assert.ok(files.length > 200)
  for (const file of files) assert.deepEqual(bareTimesIn(read(file), 'ts'), [], file)
})

test("no code of src but src/clock.ts reads the process's own clock", () => {
  const files = globSync('src/**/*.ts', { cwd: root }).filter(
    (file) => !/[.]test[.]ts$|\/fixture[.]ts$/.test(file),
  )
  const reading = files.filter((file) =>
    /\bnew Date\(\s*\)|\bDate\s*[.]\s*now\b|\bDate\(\)/.test(read(file).replace(commentsOf.ts, '')),
  )
  assert.deepEqual(reading, ['src/clock.ts'])
})

test('no default, view or function of the migrated database reads another clock', async () => {
  const { pool } = await cloneDatabase()
  const { rows } = await pool.query<{ name: string; text: string }>(
    `select table_name || '.' || column_name as name, column_default as text
     from information_schema.columns where column_default is not null and table_schema = 'public'
     union all select viewname, definition from pg_views where schemaname = 'public'
     union all select proname, prosrc from pg_proc
     where proname not in ('filmgate_now', 'queue_now') and pronamespace = 'public'::regnamespace`,
  )
  assert.ok(rows.some(({ text }) => text.includes('filmgate_now()')))
  // the library of the migrations only notes there when each was run
  const ours = rows.filter(({ name }) => name !== 'migrations.run_on')
  assert.deepEqual(
    ours.filter(({ text }) => bareTimesIn(text, 'sql').length > 0),
    [],
  )
})

test('this check finds every way to read the time in SQL', () => {
  for (const text of ['select now()', "'now'::date", 'at < CURRENT_TIMESTAMP', 'clock_timestamp()']) {
    assert.equal(bareTimesIn(text, 'sql').length, 1, text)
  }
  assert.deepEqual(bareTimesIn('select filmgate_now(), queue_now(), clock.now()', 'ts'), [])
})
