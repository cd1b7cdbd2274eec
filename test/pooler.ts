import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { atEnd } from './at-end.ts'
import { database } from './command-line.ts'

const pgbouncer = [...(process.env.PATH ?? '').split(':'), '/usr/sbin']
  .map((folder) => join(folder, 'pgbouncer'))
  .find((file) => existsSync(file))
const { host, port, user, password, name } = partsOf(database.url)

function partsOf(text: string) {
  const url = new URL(text.replace('@/', '@here/'))
  return {
    host: url.searchParams.get('host')!,
    port: url.searchParams.get('port')!,
    user: url.username,
    password: decodeURIComponent(url.password),
    name: url.pathname.slice(1),
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** Starts the real pooler in front of the test's database; answers the URL for filmgate. */
export async function startPooler(mode: string, poolSize: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'filmgate-pooler-'))
  const listenPort = await freePort()
  const settings = join(folder, 'pgbouncer.ini')
  await writeFile(
    settings,
    `[databases]
${name} = host=${host} port=${port} user=${user} password='${password}'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${listenPort}
unix_socket_dir =
auth_type = any
pool_mode = ${mode}
default_pool_size = ${poolSize}
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
`,
  )
  // it does not run as root, and PostgreSQL's socket is open to its owner alone
  const { uid, gid } = await stat(host)
  const isRoot = process.getuid?.() === 0
  await chmod(folder, 0o755)
  if (isRoot) await chown(folder, uid, gid)
  const child = spawn(pgbouncer!, [settings], {
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(isRoot && { uid, gid }),
  })
  atEnd(async () => {
    child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })
  const said: string[] = []
  for await (const line of createInterface({ input: child.stderr })) {
    said.push(line)
    if (/process up/.test(line)) return `postgres://${user}@127.0.0.1:${listenPort}/${name}`
  }
  throw new Error(said.join('\n'))
}

/** Skips a test, visibly, where the pooler is not installed. */
export function skips(t: TestContext): boolean {
  if (pgbouncer === undefined) t.skip('pgbouncer is not installed')
  return pgbouncer === undefined
}

export const refusal =
  /^filmgate: DATABASE_URL goes through a connection pooler in transaction or statement mode.*\n$/m
