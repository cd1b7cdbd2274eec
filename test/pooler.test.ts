import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { atEnd } from './at-end.ts'
import { dataDir, filmgate } from './command-line.ts'
import { refusal, skips, startPooler } from './pooler.ts'

const commands = ['serve --port 0', 'serve --role worker', 'job list', 'ledger verify']

for (const mode of ['transaction', 'statement']) {
  test(`PgBouncer in ${mode} mode is refused in one line, by servers and commands`, async (t) => {
    if (skips(t)) return
    const url = await startPooler(mode, 20)
    for (const command of commands) {
      const { code, stdout, stderr } = await filmgate(command, { DATABASE_URL: url })
      assert.equal(code, 1, command)
      assert.equal(stdout, '')
      assert.match(stderr, refusal, command)
    }
  })
}

test('PgBouncer in session mode serves commands and a server', async (t) => {
  if (skips(t)) return
  const url = await startPooler('session', 60)
  const listed = await filmgate('job list --json', { DATABASE_URL: url })
  assert.equal(listed.code, 0, listed.stderr)
  const child = spawn(process.execPath, ['src/main.ts', 'serve', '--port', '0'], {
    env: {
      PATH: process.env.PATH,
      DATABASE_URL: url,
      FILMGATE_DATA_DIR: dataDir,
      FILMGATE_LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  atEnd(() => child.kill('SIGKILL'))
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  assert.match(line, /^filmgate ready on http/)
  child.kill('SIGTERM')
  assert.deepEqual(await once(child, 'exit'), [0, null])
})
