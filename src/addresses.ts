import { BlockList, isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/**
 * An address in the one form that others are compared with: no zone, and IPv4 as IPv4 where it came over an IPv6 socket
 * (`::ffff:10.0.0.1`). Undefined for what is no address.
 */
export function plainAddress(text: string): string | undefined {
  // node's judgement first: ipaddr.js reads 010.1 and 0x7f000001 as well
  return isIP(text) === 0 ? undefined : ipaddr.process(text.replace(/%.*$/s, '')).toString()
}

export interface AddressRange {
  address: string
  bits: number
  family: 'ipv4' | 'ipv6'
}

const mappedBits = 96

/** An address or CIDR range; undefined for what is neither. IPv4 written as IPv6 is IPv4. */
export function parseRange(text: string): AddressRange | undefined {
  const [first = '', bits, ...rest] = text.split('/')
  const version = isIP(first)
  const most = version === 4 ? 32 : 128
  const isLength = bits === undefined || /^\d{1,3}$/.test(bits)
  // a zone is a network card of one machine
  if (version === 0 || rest.length > 0 || !isLength || first.includes('%')) return undefined
  const address = ipaddr.process(first).toString()
  const isMapped = version === 6 && isIP(address) === 4
  const length = (bits === undefined ? most : Number(bits)) - (isMapped ? mappedBits : 0)
  if (length < 0 || length > most - (isMapped ? mappedBits : 0)) return undefined
  return { address, bits: length, family: isIP(address) === 4 ? 'ipv4' : 'ipv6' }
}

/** Compiles ranges for `isWithin`; what is no range has no address in it. */
export function compileRanges(texts: string[]): BlockList {
  const list = new BlockList()
  for (const text of texts) {
    const range = parseRange(text)
    if (range !== undefined) list.addSubnet(range.address, range.bits, range.family)
  }
  return list
}

/** True if the text is an address in one of the ranges. */
export function isWithin(ranges: BlockList, text: string): boolean {
  const address = plainAddress(text)
  return address !== undefined && ranges.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6')
}
