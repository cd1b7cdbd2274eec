import { readFile, stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { dirname } from 'node:path'
import { PostgresUnavailable } from './unavailable.ts'

/** The operating system's user that runs PostgreSQL: ourselves, or an unprivileged user when we are root. */
export interface Account {
  name: string
  uid: number
  gid: number
  /** True when we are root and PostgreSQL, which refuses root, runs as somebody else. */
  switched: boolean
}

/** `_postgres` is the name on macOS. */
const unprivilegedUsers = ['postgres', '_postgres', 'nobody']

/** Picks the account; a cluster that exists is run by its owner, whoever starts filmgate as root. */
export async function chooseAccount(clusterOwner?: { uid: number; gid: number }): Promise<Account> {
  if (process.getuid?.() !== 0) return ownAccount()
  const entries = parsePasswd(await readFile('/etc/passwd', 'utf8').catch(() => ''))
  if (clusterOwner !== undefined && clusterOwner.uid !== 0) {
    const known = [...entries.values()].find(({ uid }) => uid === clusterOwner.uid)
    return { name: known?.name ?? `uid ${clusterOwner.uid}`, ...clusterOwner, switched: true }
  }
  const found = unprivilegedUsers.map((name) => entries.get(name)).find((entry) => entry !== undefined)
  if (found === undefined) {
    throw new PostgresUnavailable(
      'the embedded PostgreSQL cannot run as root and this machine has neither a user "postgres" nor "nobody": ' +
        'set DATABASE_URL to your own PostgreSQL',
    )
  }
  return { ...found, switched: true }
}

function ownAccount(): Account {
  try {
    const { username, uid, gid } = userInfo()
    return { name: username, uid, gid, switched: false }
  } catch (cause) {
    // initdb looks the user up and gives up without an entry (a container started with an arbitrary uid).
    throw new PostgresUnavailable(
      `the embedded PostgreSQL cannot run as uid ${process.getuid?.()}, which has no entry in /etc/passwd: ` +
        'set DATABASE_URL to your own PostgreSQL, or run filmgate as a user that has one',
      { cause },
    )
  }
}

/** Ordinary accounts of a passwd file by name; root and negative ids (macOS) are left out. */
export function parsePasswd(text: string): Map<string, { name: string; uid: number; gid: number }> {
  const accounts = new Map<string, { name: string; uid: number; gid: number }>()
  for (const line of text.split('\n')) {
    const [name, , uid, gid] = line.split(':')
    if (name && /^[1-9]\d*$/.test(uid ?? '') && /^\d+$/.test(gid ?? '')) {
      accounts.set(name, { name, uid: Number(uid), gid: Number(gid) })
    }
  }
  return accounts
}

/** Whether the account may walk down to `folder` and into it. Judged by modes alone. */
export async function canEnter(folder: string, account: Account): Promise<boolean> {
  if (!account.switched) return true
  for (let path = folder; ; path = dirname(path)) {
    if (!allows(await stat(path), account, 0o1)) return false
    if (path === dirname(path)) return true
  }
}

/** Whether the account may read the file or list the folder at `path`. */
export async function canRead(path: string, account: Account): Promise<boolean> {
  if (!account.switched) return true
  return allows(await stat(path), account, 0o4) && (await canEnter(dirname(path), account))
}

function allows(entry: { mode: number; uid: number; gid: number }, account: Account, need: number): boolean {
  const shift = entry.uid === account.uid ? 6 : entry.gid === account.gid ? 3 : 0
  return ((entry.mode >> shift) & need) === need
}
