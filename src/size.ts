const units: Record<string, number> = {
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  TB: 1000 ** 4,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
}

/** The bytes that a size like 500MB or 10GiB means: a plain whole number and a unit. Undefined for anything else. */
export function parseSize(text: string): number | undefined {
  const [, number, unit] = /^(0|[1-9]\d{0,8})([KMGT]i?B)$/.exec(text) ?? []
  const bytes = Number(number) * (units[unit ?? ''] ?? Number.NaN)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** A number of bytes as people read it. */
export function sizeText(bytes: number): string {
  return bytes >= 1000 ** 3 ? `${(bytes / 1000 ** 3).toFixed(1)} GB` : `${(bytes / 1000 ** 2).toFixed(1)} MB`
}
