import { resolve } from 'node:path'
import { parseRange } from './addresses.ts'
import { durableSteps, isFaultPoint } from './fault-points.ts'
import { parseSize } from './size.ts'

export const roles = ['all', 'api', 'worker'] as const
export const whenSuspended = ['refuse', 'hold'] as const
const logFormats = ['text', 'json'] as const
const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

/** The headers in which a proxy can name the client; one of them is believed. */
export const proxyHeaders = ['x-forwarded-for', 'forwarded'] as const
export type ProxyHeader = (typeof proxyHeaders)[number]

/** Upstreams that there is an adapter for; src/providers/upstreams.ts has them. */
export const upstreamNames = ['kling', 'fal', 'wavespeed'] as const
export type UpstreamName = (typeof upstreamNames)[number]
/** Those that take a pair of keys in place of one; the others' `…_ACCESS_KEY` means nothing. */
export const pairedUpstreams: readonly string[] = ['kling'] satisfies UpstreamName[]
/** Those that sign what they send with a secret of the account; the others' `…_WEBHOOK_SECRET` means nothing. */
const signingUpstreams: readonly string[] = ['kling', 'wavespeed'] satisfies UpstreamName[]

export interface Config {
  host: string
  port: number
  role: (typeof roles)[number]
  dataDir: string
  /** Unset: the embedded PostgreSQL. */
  databaseUrl: string | undefined
  /** Origin of file and upload URLs; undefined when PORT is 0, until the port is known. */
  publicUrl: string | undefined
  /** Unset: files in the data folder. */
  s3: S3Settings | undefined
  /** Those that have credentials. */
  upstreams: Partial<Record<UpstreamName, UpstreamConfig>>
  allowPrivateNetwork: boolean
  /** Unset: routes are taken whatever they leave of the price. */
  minMargin: string | undefined
  /** Addresses and ranges of proxies whose word about the client is believed; none: nobody's. */
  trustedProxies: string[]
  /** The one header that is read of theirs. */
  proxyHeader: ProxyHeader
  /** Sites whose pages may read answers; `*`: all of them; undefined: the server's own alone. */
  corsOrigins: string[] | '*' | undefined
  /** Open connections, of all together and from one address. */
  maxConnections: number
  maxConnectionsPerAddress: number
  /** How many requests a key may make from an address, in each process. */
  requestsPerMinute: number
  /** What becomes of a live submit while every upstream of its model is suspended. */
  whenSuspended: (typeof whenSuspended)[number]
  logLevel: (typeof logLevels)[number]
  /** Undefined: text on a terminal, else JSON. */
  logFormat: (typeof logFormats)[number] | undefined
  /** Where a worker answers /health; unset: nowhere. */
  healthPort: number | undefined
  /** Below so much free space on the disk of the data folder nothing new is taken. */
  minFreeDiskBytes: number
}

export interface S3Settings {
  endpoint: string
  region: string
  bucket: string
  accessKeyId: string
  secretAccessKey: string
}

/** A key, or a pair of keys that tokens are signed with. */
export interface UpstreamConfig {
  /** Unset: the upstream's own address. */
  baseUrl?: string
  apiKey?: string
  accessKey?: string
  secretKey?: string
  webhookSecret?: string
}

/** A setting is wrong; the message is one line that names it, what is wrong and what is right. */
export class ConfigError extends Error {}

/** Options of the command line that stand above the environment. */
export interface ConfigFlags {
  port?: string
  host?: string
  role?: string
}

/** Reads the settings (operations.md); throws ConfigError at the first wrong one. An empty value counts as unset. */
export function loadConfig(environment: NodeJS.ProcessEnv, flags: ConfigFlags = {}): Config {
  const read = (name: string) => environment[name]?.trim() || undefined
  const faultPoint = read('FILMGATE_FAULT_POINT')
  if (faultPoint !== undefined && !isFaultPoint(faultPoint)) {
    throw new ConfigError(
      `FILMGATE_FAULT_POINT is "${faultPoint}": leave it unset, or name one of ${durableSteps.join(', ')} with :before or :after`,
    )
  }
  const host = flags.host ?? read('HOST') ?? '127.0.0.1'
  const portNumber = port(flags.port !== undefined ? '--port' : 'PORT', flags.port ?? read('PORT') ?? '8787')
  return {
    host,
    port: portNumber,
    role: oneOf('--role', flags.role ?? 'all', roles),
    dataDir: resolve(read('FILMGATE_DATA_DIR') ?? 'data'),
    databaseUrl: databaseUrl(read('DATABASE_URL')),
    publicUrl:
      origin('PUBLIC_URL', read('PUBLIC_URL')) ?? (portNumber === 0 ? undefined : originOf(host, portNumber)),
    s3: s3Settings(read),
    upstreams: upstreams(read),
    minMargin: minMargin(read('FILMGATE_MIN_MARGIN')),
    allowPrivateNetwork: flag('FILMGATE_ALLOW_PRIVATE_NETWORK', read('FILMGATE_ALLOW_PRIVATE_NETWORK')),
    trustedProxies: trustedProxies(read('FILMGATE_TRUSTED_PROXIES')),
    proxyHeader: oneOf(
      'FILMGATE_PROXY_HEADER',
      read('FILMGATE_PROXY_HEADER')?.toLowerCase() ?? 'x-forwarded-for',
      proxyHeaders,
    ),
    corsOrigins: corsOrigins(read('FILMGATE_CORS_ORIGINS')),
    maxConnections: wholeNumber('FILMGATE_MAX_CONNECTIONS', read('FILMGATE_MAX_CONNECTIONS') ?? '10000'),
    maxConnectionsPerAddress: wholeNumber(
      'FILMGATE_MAX_CONNECTIONS_PER_ADDRESS',
      read('FILMGATE_MAX_CONNECTIONS_PER_ADDRESS') ?? '500',
    ),
    requestsPerMinute: wholeNumber(
      'FILMGATE_REQUESTS_PER_MINUTE',
      read('FILMGATE_REQUESTS_PER_MINUTE') ?? '6000',
    ),
    whenSuspended: oneOf(
      'FILMGATE_WHEN_SUSPENDED',
      read('FILMGATE_WHEN_SUSPENDED') ?? 'refuse',
      whenSuspended,
    ),
    healthPort:
      read('FILMGATE_HEALTH_PORT') === undefined
        ? undefined
        : port('FILMGATE_HEALTH_PORT', read('FILMGATE_HEALTH_PORT')!),
    minFreeDiskBytes: size('FILMGATE_MIN_FREE_DISK', read('FILMGATE_MIN_FREE_DISK') ?? '1GB'),
    logLevel: oneOf('FILMGATE_LOG_LEVEL', read('FILMGATE_LOG_LEVEL') ?? 'info', logLevels),
    logFormat:
      read('FILMGATE_LOG_FORMAT') === undefined
        ? undefined
        : oneOf('FILMGATE_LOG_FORMAT', read('FILMGATE_LOG_FORMAT')!, logFormats),
  }
}

/** `http://host:port`, with the brackets that an IPv6 address needs. */
export function originOf(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Per cent, as text: it is compared exactly. */
function minMargin(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const isPlain = /^-?\d{1,4}(\.\d{1,9})?$/.test(text)
  if (isPlain && Number(text) >= -1_000 && Number(text) <= 100) return text
  throw new ConfigError(
    `FILMGATE_MIN_MARGIN is "${text}": give per cent from -1000 to 100 as a plain decimal, like 20 or 12.5`,
  )
}

function port(name: string, text: string): number {
  const value = /^(0|[1-9]\d{0,4})$/.test(text) ? Number(text) : Number.NaN
  if (!(value <= 65_535)) throw new ConfigError(`${name} is "${text}": give a port number from 0 to 65535`)
  return value
}

function size(name: string, text: string): number {
  const bytes = parseSize(text)
  if (bytes !== undefined) return bytes
  throw new ConfigError(`${name} is "${text}": give a whole number of MB, GB or TB, like 500MB or 2GB`)
}

function oneOf<T extends string>(name: string, text: string, options: readonly T[]): T {
  const found = options.find((option) => option === text)
  if (found === undefined) throw new ConfigError(`${name} is "${text}": give one of ${options.join(', ')}`)
  return found
}

function flag(name: string, text: string | undefined): boolean {
  if (text === undefined || text === '0') return false
  if (text === '1') return true
  throw new ConfigError(`${name} is "${text}": give 1 to turn it on, or leave it unset`)
}

/** The parts of a list, which commas and spaces divide. */
function listed(text: string | undefined): string[] {
  return text?.split(/[\s,]+/).filter((part) => part !== '') ?? []
}

function corsOrigins(text: string | undefined): Config['corsOrigins'] {
  const parts = listed(text)
  if (parts.length === 0) return undefined
  if (parts.length === 1 && parts[0] === '*') return '*'
  return parts.map((part) => {
    const url = URL.parse(part)
    const isOrigin = url !== null && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`
    if (isOrigin && !part.includes('*')) return url.origin
    throw new ConfigError(
      `FILMGATE_CORS_ORIGINS is "${text}": give origins without a path, like https://app.example.com, or * alone`,
    )
  })
}

function wholeNumber(name: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new ConfigError(`${name} is "${text}": give a whole number from 1 to 999999999`)
}

function trustedProxies(text: string | undefined): string[] {
  return listed(text).map((part) => {
    if (parseRange(part) !== undefined) return part
    throw new ConfigError(
      `FILMGATE_TRUSTED_PROXIES is "${text}": "${part}" is neither an address nor a range: give a list like 10.0.0.0/8, 2001:db8::7`,
    )
  })
}

// The value is not shown: it holds a password.
function databaseUrl(text: string | undefined): string | undefined {
  // no host is a socket, or one of the machine's PG… variables
  const isUrl = text !== undefined && URL.canParse(text.replace(/^(postgres(?:ql)?:\/\/[^/]*@)\//, '$1host/'))
  if (text === undefined || (isUrl && /^postgres(ql)?:\/\//.test(text))) return text
  throw new ConfigError(
    'DATABASE_URL is not a PostgreSQL URL: write it as postgres://user:password@host/database',
  )
}

const s3Names = ['S3_ENDPOINT', 'S3_REGION', 'S3_BUCKET', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'] as const

/** All five or none: half of them would send some machine's files to its own disk. */
function s3Settings(read: (name: string) => string | undefined): S3Settings | undefined {
  const set = s3Names.find((name) => read(name) !== undefined)
  if (set === undefined) return undefined
  const given = (name: (typeof s3Names)[number]): string => {
    const value = read(name)
    if (value !== undefined) return value
    throw new ConfigError(`${name} is not set, but ${set} is: give all of ${s3Names.join(', ')}, or none`)
  }
  const settings = {
    endpoint: given('S3_ENDPOINT'),
    region: given('S3_REGION'),
    bucket: given('S3_BUCKET'),
    accessKeyId: secret('S3_ACCESS_KEY_ID', given('S3_ACCESS_KEY_ID')),
    secretAccessKey: secret('S3_SECRET_ACCESS_KEY', given('S3_SECRET_ACCESS_KEY')),
  }
  const url = URL.parse(settings.endpoint)
  // some stores have their S3 API under a path
  if (
    url === null ||
    !/^https?:$/.test(url.protocol) ||
    url.username + url.password + url.search + url.hash
  ) {
    throw new ConfigError(
      'S3_ENDPOINT is not the URL of a store: give one without credentials or query, like https://s3.example.com',
    )
  }
  named('S3_REGION', settings.region, /^[a-z0-9-]{1,64}$/, 'a region like eu-central-1 or auto')
  named(
    'S3_BUCKET',
    settings.bucket,
    /^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/i,
    'the name of a bucket, without a path',
  )
  return settings
}

function upstreams(read: (name: string) => string | undefined): Config['upstreams'] {
  const set: Config['upstreams'] = {}
  for (const name of upstreamNames) {
    const found = upstreamConfig(name.toUpperCase(), read)
    if (found !== undefined) set[name] = found
  }
  return set
}

function upstreamConfig(
  prefix: string,
  read: (name: string) => string | undefined,
): UpstreamConfig | undefined {
  const key = (name: string) => {
    const value = read(`${prefix}_${name}`)
    return value === undefined ? undefined : secret(`${prefix}_${name}`, value)
  }
  const apiKey = key('API_KEY')
  const isPaired = pairedUpstreams.includes(prefix.toLowerCase())
  const accessKey = isPaired ? key('ACCESS_KEY') : undefined
  const secretKey = isPaired ? key('SECRET_KEY') : undefined
  const isSigning = signingUpstreams.includes(prefix.toLowerCase())
  const webhookSecret = isSigning ? key('WEBHOOK_SECRET') : undefined
  const baseUrl = upstreamUrl(`${prefix}_BASE_URL`, read(`${prefix}_BASE_URL`))
  if ((accessKey === undefined) !== (secretKey === undefined)) {
    const [given, missing] = accessKey === undefined ? ['SECRET', 'ACCESS'] : ['ACCESS', 'SECRET']
    throw new ConfigError(
      `${prefix}_${missing}_KEY is not set, but ${prefix}_${given}_KEY is: give both, or ${prefix}_API_KEY in their place`,
    )
  }
  if (apiKey === undefined && accessKey === undefined) return undefined
  return {
    ...(baseUrl !== undefined && { baseUrl }),
    ...(apiKey !== undefined && { apiKey }),
    ...(accessKey !== undefined && { accessKey }),
    ...(secretKey !== undefined && { secretKey }),
    ...(webhookSecret !== undefined && { webhookSecret }),
  }
}

/** The key travels there: only on this machine without TLS. */
function upstreamUrl(name: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const url = URL.parse(text)
  const isUsable = url !== null && url.username + url.password + url.search + url.hash === '' && isSafe(url)
  if (!isUsable) {
    throw new ConfigError(
      `${name} is not the address of an upstream: give an https URL without credentials or query, like https://api.example.com`,
    )
  }
  return url.href.replace(/\/+$/, '')
}

function isSafe({ protocol, hostname }: URL): boolean {
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname)
  return protocol === 'https:' || (protocol === 'http:' && isLoopback)
}

function named(name: string, text: string, pattern: RegExp, right: string): void {
  if (!pattern.test(text)) throw new ConfigError(`${name} is "${text}": give ${right}`)
}

// The value is not shown.
function secret(name: string, text: string): string {
  if (/^[\x21-\x7e]+$/.test(text)) return text
  throw new ConfigError(`${name} is not a key: give it without spaces, as it was shown`)
}

function origin(name: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol) || url.origin !== text.replace(/\/$/, '')) {
    throw new ConfigError(
      `${name} is "${text}": give an origin without a path, like https://films.example.com`,
    )
  }
  return url.origin
}
