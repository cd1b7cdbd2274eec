import type { BlockList } from 'node:net'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { compileRanges, isWithin, plainAddress } from '../addresses.ts'
import type { Config, ProxyHeader } from '../config.ts'

/** Whose word about the address of a client is believed. */
export interface Proxies {
  isTrusted(address: string): boolean
  header: ProxyHeader
}

declare module 'fastify' {
  interface FastifyInstance {
    proxies: Proxies
  }
  interface FastifyRequest {
    knownAddress: string | undefined
  }
}

export function createProxies(config: Pick<Config, 'trustedProxies' | 'proxyHeader'>): Proxies {
  const ranges: BlockList = compileRanges(config.trustedProxies)
  const isTrusted =
    config.trustedProxies.length === 0 ? () => false : (address: string) => isWithin(ranges, address)
  return { isTrusted, header: config.proxyHeader }
}

/** Lets `clientAddress` answer for the requests of this app. */
export function knowProxies(app: FastifyInstance, proxies: Proxies): void {
  app.decorate('proxies', proxies)
  app.decorateRequest('knownAddress')
}

/** The address that counts as the client's: for allow lists, limits and logs. Empty if the connection has ended. */
export function clientAddress(request: FastifyRequest): string {
  request.knownAddress ??= findAddress(
    request.raw.socket.remoteAddress ?? '',
    // of several lines node makes one, in their order
    String(request.headers[request.server.proxies.header] ?? ''),
    request.server.proxies,
  )
  return request.knownAddress
}

/**
 * Goes from the socket back through the hops that proxies have written down, the nearest first, as long as the last one
 * found is a trusted proxy. What is no address ends the way: its writer did not know the client, and whatever stands
 * before it may be the client's own invention. Then the proxy that wrote it counts.
 */
export function findAddress(
  socketAddress: string,
  header: string,
  { isTrusted, header: name }: Proxies,
): string {
  let found = plainAddress(socketAddress) ?? ''
  if (!isTrusted(found)) return found
  for (const element of fromRight(header)) {
    const hop = name === 'forwarded' ? forwardedFor(element) : nodeAddress(element)
    if (hop === undefined) return found
    found = hop
    if (!isTrusted(found)) return found
  }
  return found
}

/**
 * The elements of a list, the last one first, divided by the commas that stand in no quotes. Quotes are read from the right
 * as well: one that a client has opened and not closed would swallow what a proxy has added behind it.
 */
function* fromRight(header: string): Generator<string> {
  if (header === '') return
  let isQuoted = false
  let end = header.length
  for (let at = header.length - 1; at >= 0; at--) {
    if (header[at] === '"' && header[at - 1] !== '\\') isQuoted = !isQuoted
    if (header[at] !== ',' || isQuoted) continue
    yield header.slice(at + 1, end)
    end = at
  }
  yield header.slice(0, end)
}

const pair = /^\s*([\w!#$%&'*+.^`|~-]+)=("(?:[^"\\]|\\.)*"|[^\s";,]+)\s*$/

/** The address in the `for` of one element of the header Forwarded (RFC 7239). */
function forwardedFor(element: string): string | undefined {
  const values: string[] = []
  for (const [text] of element.matchAll(/(?:"(?:[^"\\]|\\.)*"?|[^";])+/g)) {
    const [, name, value = ''] = pair.exec(text) ?? []
    if (name === undefined) return undefined
    if (name.toLowerCase() === 'for') values.push(value)
  }
  const [value, ...others] = values
  if (value === undefined || others.length > 0) return undefined
  const node = value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value
  // an IPv6 address without brackets could end in a port
  return /^[^[].*:.*:/.test(node) ? undefined : nodeAddress(node)
}

// An address, with its port if that is named; an obfuscated port begins with _.
const bracketed = /^\[([^\]]*)\](?::(?:\d{1,5}|_[\w.-]+))?$/
const dotted = /^([\d.]+):(?:\d{1,5}|_[\w.-]+)$/

function nodeAddress(text: string): string | undefined {
  const node = text.trim()
  const inBrackets = bracketed.exec(node)?.[1]
  if (inBrackets !== undefined) return inBrackets.includes(':') ? plainAddress(inBrackets) : undefined
  return plainAddress(dotted.exec(node)?.[1] ?? node)
}
