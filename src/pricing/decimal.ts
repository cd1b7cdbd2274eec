/** An exact decimal number: `digits` / 10^`scale`. */
export interface Decimal {
  digits: bigint
  scale: number
}

/** Reads a plain decimal like "1.5"; throws a RangeError for anything else. */
export function decimal(text: string): Decimal {
  const match = /^(\d+)(?:\.(\d+))?$/.exec(text)
  if (match === null) throw new RangeError(`"${text}" is not a plain decimal number`)
  const [, whole = '', fraction = ''] = match
  return { digits: BigInt(whole + fraction), scale: fraction.length }
}

export function multiply(a: Decimal, b: Decimal): Decimal {
  return { digits: a.digits * b.digits, scale: a.scale + b.scale }
}

/** 12.5 → 1.125: what is multiplied with to add a percentage. */
export function plusPercent(percentage: Decimal): Decimal {
  return { digits: 100n * 10n ** BigInt(percentage.scale) + percentage.digits, scale: percentage.scale + 2 }
}

/** Rounds half up to a whole number. */
export function roundHalfUp({ digits, scale }: Decimal): bigint {
  const unit = 10n ** BigInt(scale)
  return (2n * digits + unit) / (2n * unit)
}
