import type { Command } from 'commander'
import ipaddr from 'ipaddr.js'
import {
  type ApiKey,
  createKey,
  deactivateKey,
  type KeyScope,
  keyScopes,
  limitKey,
  listKeys,
} from '../accounts/keys.ts'
import { parseRange } from '../addresses.ts'
import { finite, limit, list, listOf, moment, refuse, text, wholeNumber, word } from './arguments.ts'
import { CommandFailed, print, table, withDatabase } from './output.ts'
import { requireUser } from './user.ts'

interface CreateOptions {
  user: string
  test?: boolean
  name?: string
  scopes?: KeyScope[]
  allowedIps?: string[]
  expires?: Date
  requestsPerMinute?: number
  json?: boolean
}

export function addKeyCommands(program: Command): void {
  const key = program.command('key').description('Make and deactivate API keys.')
  key
    .command('create')
    .description('Make an API key. This is the only time that it is shown.')
    .requiredOption('--user <user>', 'user id or e-mail address', word)
    .option('--test', 'a test key: rendered by the sandbox, paid from the test balance')
    .option('--name <name>', 'name', text)
    .option('--scopes <list>', `of ${keyScopes.join(', ')}, with commas; all but admin by default`, scopeList)
    .option(
      '--allowed-ips <list>',
      'addresses and CIDR ranges with commas; from everywhere by default',
      rangeList,
    )
    .option('--expires <time>', 'moment with its zone, like 2027-01-31T00:00:00Z; never by default', moment)
    .option('--requests-per-minute <number>', 'most accepted jobs a minute; no limit by default', wholeNumber)
    .option('--json', 'print one JSON document')
    .action(async (options: CreateOptions, command: Command) => {
      await withDatabase(async ({ pool, clock }) => {
        // by the database's clock, by which the key will end
        if (options.expires !== undefined && options.expires <= clock.now()) {
          command.error("error: option '--expires <time>': that time is past")
        }
        const { userId } = await requireUser(pool, options.user)
        const created = await createKey(pool, {
          userId,
          mode: options.test ? 'test' : 'live',
          name: options.name,
          scopes: options.scopes,
          allowedIps: options.allowedIps,
          expiresAt: options.expires,
          requestsPerMinute: options.requestsPerMinute,
        })
        print(options, created, [created.key, '', ...describe([created])])
      })
    })
  key
    .command('list')
    .description('List the keys of a user, newest first.')
    .requiredOption('--user <user>', 'user id or e-mail address', word)
    .option('--json', 'print one JSON document')
    .action(async (options: { user: string; json?: boolean }) => {
      await withDatabase(async ({ pool }) => {
        const { userId } = await requireUser(pool, options.user)
        const keys = await listKeys(pool, userId)
        print(options, { keys }, describe(keys))
      })
    })
  key
    .command('deactivate')
    .description('Deactivate a key at once.')
    .argument('<keyid>', 'id of the key', word)
    .option('--json', 'print one JSON document')
    .action(async (keyId: string, options: { json?: boolean }) => {
      await withDatabase(async ({ pool }) => {
        const deactivated = await deactivateKey(pool, keyId)
        if (deactivated === undefined) throw new CommandFailed(`there is no key ${keyId}`)
        print(options, deactivated, describe([deactivated]))
      })
    })
  key
    .command('limit')
    .description('Set how many jobs a key may submit a minute; counts from its next request on.')
    .argument('<keyid>', 'id of the key', word)
    .argument('<requests_per_minute>', 'a whole number, or "unlimited"', limit)
    .option('--json', 'print one JSON document')
    .action(async (keyId: string, requestsPerMinute: number, options: { json?: boolean }) => {
      await withDatabase(async ({ pool }) => {
        const limited = await limitKey(pool, keyId, finite(requestsPerMinute))
        if (limited === undefined) throw new CommandFailed(`there is no key ${keyId}`)
        print(options, limited, describe([limited]))
      })
    })
}

function describe(keys: ApiKey[]): string[] {
  const rows = keys.map((key) => [
    key.keyId,
    `${key.prefix}…`,
    key.isActive ? 'active' : 'deactivated',
    key.scopes.join(',') || 'all but admin',
    key.allowedIps.join(',') || 'everywhere',
    key.expiresAt ?? 'never',
    String(key.requestsPerMinute ?? 'no'),
    key.name ?? '',
  ])
  return table([['id', 'key', 'state', 'scopes', 'allowed from', 'expires', 'limit', 'name'], ...rows])
}

const scopeList = listOf('scopes', keyScopes)

const rangeList = list('ranges', '192.0.2.7,10.0.0.0/8', (item) => {
  const [address = '', bits] = item.split('/')
  if (parseRange(item) === undefined || !ipaddr.isValid(address) || /^0\d/.test(bits ?? '')) {
    return refuse(`"${item}" is neither an address nor a range like 10.0.0.0/8`)
  }
  if (bits === undefined) return item
  const parsed = ipaddr.parse(address)
  const network = (parsed.kind() === 'ipv4' ? ipaddr.IPv4 : ipaddr.IPv6).networkAddressFromCIDR(item)
  if (network.toString() === parsed.toString()) return item
  return refuse(
    `"${item}" is an address within a range: write ${address}, or ${network}/${bits} for all of it`,
  )
})
