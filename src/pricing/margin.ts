/** A share in per cent, exact: `digits` / 10^`scale`; below 0 too. */
export interface Percent {
  digits: bigint
  scale: number
}

/** Reads a plain decimal like 12.5 or -3; undefined for anything else. */
export function percent(text: string): Percent | undefined {
  const [, sign, whole, fraction = ''] = /^(-?)(\d{1,9})(?:\.(\d{1,9}))?$/.exec(text) ?? []
  if (whole === undefined) return undefined
  return { digits: BigInt(`${sign}${whole}${fraction}`), scale: fraction.length }
}

/**
 * Whether (price − cost) ÷ price is at least so much. What is given away has no margin: it passes only if it costs nothing.
 */
export function isMargin(priceMicroCents: bigint, costMicroCents: bigint, least: Percent): boolean {
  if (priceMicroCents === 0n) return costMicroCents === 0n
  const gained = 100n * 10n ** BigInt(least.scale) * (priceMicroCents - costMicroCents)
  return gained >= least.digits * priceMicroCents
}

/** The margin in per cent, for people; null where there is no price to have a share of. */
export function marginPercent(priceMicroCents: bigint, costMicroCents: bigint): number | null {
  if (priceMicroCents === 0n) return null
  return Number((10_000n * (priceMicroCents - costMicroCents)) / priceMicroCents) / 100
}
