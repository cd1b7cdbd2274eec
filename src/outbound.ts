import { lookup as systemLookup } from 'node:dns'
import { Resolver } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { Agent, buildConnector, type Dispatcher } from 'undici'
import packageFile from '../package.json' with { type: 'json' }

/** What this gateway calls itself towards other servers. */
export const userAgent = `filmgate/${packageFile.version}`

/** One resolved address, in the form that `node:net` takes. */
export interface ResolvedAddress {
  address: string
  family: number
}

/** Every address of a name; an empty list or a rejection means that it does not resolve. */
export type Lookup = (hostname: string) => Promise<ResolvedAddress[]>

export type UrlCheck =
  | { ok: true; url: URL }
  | {
      ok: false
      reason: 'malformed' | 'too_long' | 'protocol' | 'credentials' | 'refused_address'
      message: string
    }

export type Resolution =
  | { outcome: 'public'; addresses: ResolvedAddress[] }
  | { outcome: 'refused' }
  | { outcome: 'unresolved' }

/** Thrown inside the connect step, because a dispatcher has no other way to say no; `outboundFailure` reads it. */
export class AddressRefused extends Error {
  constructor() {
    super('The address is not public.')
    this.name = 'AddressRefused'
  }
}

/** Of a customer's URL. Others may be longer: a store signs some with a token of 2,000 characters. */
const maxUrlLength = 2048
const dnsTimeLimitMs = 5_000
const connectTimeLimitMs = 10_000
/** Of several addresses each gets this long before the next; Node's 250 ms leaves none for the far side of the world. */
const addressTimeLimitMs = 2_500
const silenceLimitMs = 30_000

const publicIPv6 = ipaddr.IPv6.parseCIDR('2000::/3')
const nat64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96')
/** A public range, yet on Azure it answers every guest with the platform's own services. */
const platformAddresses = new Set(['168.63.129.16'])

/**
 * Whether an address literal belongs to the public internet. IPv6 is judged by what is allowed (2000::/3, less
 * the special ranges in it), as a list of what is forbidden misses forms such as `::127.0.0.1`.
 */
export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text)) return false
  const address = ipaddr.parse(text)
  if (address instanceof ipaddr.IPv4) {
    return address.range() === 'unicast' && !platformAddresses.has(address.toString())
  }
  if (address.isIPv4MappedAddress()) return isPublicAddress(address.toIPv4Address().toString())
  // Networks with IPv6 only reach IPv4 servers through this prefix (DNS64), so what counts is inside.
  if (address.match(nat64)) return isPublicAddress(address.toByteArray().slice(12).join('.'))
  return address.match(publicIPv6) && address.range() === 'unicast'
}

/**
 * The checks of a customer's URL that need no network. Where private addresses are allowed (development), plain
 * http is too. A `URL` has already turned decimal, octal and hex IPv4 forms into dotted ones.
 */
export function assertPublicUrl(
  text: string,
  options: {
    allowPrivate: boolean
    protocols: readonly ('http:' | 'https:')[]
    maxLength?: number | undefined
  },
): UrlCheck {
  const { maxLength = maxUrlLength } = options
  if (text.length > maxLength) return refuse('too_long', `The URL is longer than ${maxLength} characters.`)
  const url = URL.parse(text)
  if (url === null) return refuse('malformed', 'This is not a URL.')
  const protocols: readonly string[] = options.allowPrivate ? ['http:', 'https:'] : options.protocols
  if (!protocols.includes(url.protocol)) {
    const names = protocols.map((protocol) => protocol.slice(0, -1)).join(' or ')
    return refuse('protocol', `The URL must start with ${names}.`)
  }
  if (url.username !== '' || url.password !== '') {
    return refuse('credentials', 'The URL must not contain a user name or password.')
  }
  if (!options.allowPrivate && !mayBePublic(url.hostname)) {
    return refuse('refused_address', 'The URL must point to a public address.')
  }
  return { ok: true, url }
}

function refuse(reason: Extract<UrlCheck, { ok: false }>['reason'], message: string): UrlCheck {
  return { ok: false, reason, message }
}

/** False for address literals that are not public and for names that no public DNS answers for. */
function mayBePublic(hostname: string): boolean {
  const host = bare(hostname)
  if (isIP(host) !== 0) return isPublicAddress(host)
  return host.includes('.') && !/\.(localhost|local|internal|home\.arpa)$/.test(host)
}

/** Without the brackets of IPv6 and the dots that end an absolute name. */
function bare(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.+$/, '')
}

/** Resolves a name; it counts as public only if each of its addresses does. */
export async function resolvePublic(
  hostname: string,
  options: { allowPrivate: boolean; lookup?: Lookup },
): Promise<Resolution> {
  const host = bare(hostname)
  const family = isIP(host)
  const lookup = options.lookup ?? (options.allowPrivate ? lookupWithHostsFile : lookupInDns)
  const addresses = family === 0 ? await lookup(host).catch(() => []) : [{ address: host, family }]
  if (addresses.length === 0) return { outcome: 'unresolved' }
  const allowed = options.allowPrivate || addresses.every(({ address }) => isPublicAddress(address))
  return allowed ? { outcome: 'public', addresses } : { outcome: 'refused' }
}

/**
 * Asks DNS directly. The system's `getaddrinfo` would hold one of four libuv threads for as long as a customer's
 * name server cares to be slow, and file access waits for the same threads.
 */
async function lookupInDns(hostname: string): Promise<ResolvedAddress[]> {
  const resolver = new Resolver({ timeout: dnsTimeLimitMs / 2, tries: 2, maxTimeout: dnsTimeLimitMs / 2 })
  const [four, six] = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)])
  return [
    ...(four.status === 'fulfilled' ? four.value.map((address) => ({ address, family: 4 })) : []),
    ...(six.status === 'fulfilled' ? six.value.map((address) => ({ address, family: 6 })) : []),
  ]
}

/** For development: names of other containers and of the hosts file count. */
function lookupWithHostsFile(hostname: string): Promise<ResolvedAddress[]> {
  return new Promise((resolve, reject) => {
    systemLookup(hostname, { all: true }, (error, addresses) => (error ? reject(error) : resolve(addresses)))
  })
}

export interface Outbound {
  /** For undici's `request`: it connects only where it may, and follows no redirect. */
  dispatcher: Dispatcher
  check(url: string, protocols: readonly ('http:' | 'https:')[], maxLength?: number): UrlCheck
  resolve(hostname: string): Promise<Resolution>
  close(): Promise<void>
}

const maxHeaderBytes = 65_536

/**
 * The only way out to addresses that customers name. The connect step itself resolves, checks all addresses and
 * hands exactly these to the socket, so that a name which changes its answer (DNS rebinding) gains nothing.
 */
export function createOutbound(options: { allowPrivate: boolean; lookup?: Lookup }): Outbound {
  const resolve = (hostname: string) => resolvePublic(hostname, options)
  const connect = buildConnector({
    timeout: connectTimeLimitMs,
    allowH2: false,
    autoSelectFamilyAttemptTimeout: addressTimeLimitMs,
    lookup: checkedLookup(resolve),
  })
  const agent = new Agent({
    headersTimeout: silenceLimitMs,
    bodyTimeout: silenceLimitMs,
    // stores and their guards set many cookies and long policies
    maxHeaderSize: maxHeaderBytes,
    connect(target, callback) {
      // The socket asks `lookup` about names only; an address literal is judged here.
      const host = bare(target.hostname)
      if (!options.allowPrivate && isIP(host) !== 0 && !isPublicAddress(host)) {
        return callback(new AddressRefused(), null)
      }
      connect(target, callback)
    },
  })
  return {
    dispatcher: agent,
    check: (url, protocols, maxLength) =>
      assertPublicUrl(url, { allowPrivate: options.allowPrivate, protocols, maxLength }),
    resolve,
    close: () => agent.destroy(),
  }
}

function checkedLookup(resolve: (hostname: string) => Promise<Resolution>): LookupFunction {
  return (hostname, options, callback) => {
    const answer = (resolution: Resolution) => {
      if (resolution.outcome === 'refused') callback(new AddressRefused(), '')
      else if (resolution.outcome === 'unresolved') {
        callback(Object.assign(new Error('The name does not resolve.'), { code: 'ENOTFOUND' }), '')
      } else if (options.all) callback(null, resolution.addresses)
      else callback(null, resolution.addresses[0]!.address, resolution.addresses[0]!.family)
    }
    resolve(hostname).then(answer, (error) => callback(error, ''))
  }
}

/** What went wrong with a request through an `Outbound`, in words that may be shown to a customer. */
export function outboundFailure(error: unknown): {
  reason: 'refused_address' | 'timeout' | 'failed'
  message: string
} {
  if (error instanceof AddressRefused) {
    return { reason: 'refused_address', message: 'The address is not public.' }
  }
  const { name, code } = error instanceof Error ? (error as NodeJS.ErrnoException) : {}
  if (name === 'TimeoutError' || name === 'AbortError' || /TIMEOUT|TIMEDOUT|ABORTED/.test(code ?? '')) {
    return { reason: 'timeout', message: 'The server did not answer in time.' }
  }
  if (code === 'ENOTFOUND') return { reason: 'failed', message: 'The host name does not resolve.' }
  const detail = code !== undefined && /^[A-Z_]+$/.test(code) ? ` (${code})` : ''
  return { reason: 'failed', message: `The connection failed${detail}.` }
}
