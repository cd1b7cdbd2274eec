/** 1,234,567 */
export function grouped(amount: number | bigint): string {
  return String(amount).replace(/\B(?=(\d{3})+(?!\d))/g, ',')
}

/** The dollars that micro-cents are, exact: 350000 → $0.35. */
export function dollars(microCents: number | bigint): string {
  if (microCents < 0) return `-${dollars(-microCents)}`
  const digits = String(microCents).padStart(7, '0')
  const cents = digits.slice(-6).replace(/0{1,4}$/, '')
  return `$${grouped(BigInt(digits.slice(0, -6)))}.${cents}`
}
