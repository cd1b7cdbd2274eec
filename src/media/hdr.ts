/** The brightness that paper white has in HDR film, and the most that is shown of it, in candela per square metre. */
const [paperWhite, brightest] = [203, 1000]
const steps = 4096

/** From BT.2020's red, green and blue to those of BT.709. */
const toNarrow = [
  [1.6605, -0.5876, -0.0728],
  [-0.1246, 1.1329, -0.0083],
  [-0.0182, -0.1006, 1.1187],
] as const

/** Linear light by code value, in units of paper white. */
const curves: Record<'pq' | 'hlg', Float32Array> = {
  pq: Float32Array.from({ length: 256 }, (_, code) => pqLight(code / 255) / paperWhite),
  hlg: Float32Array.from(
    { length: 256 },
    (_, code) => (brightest * hlgLight(code / 255) ** 1.2) / paperWhite,
  ),
}
const encoded = Uint8ClampedArray.from({ length: steps + 1 }, (_, step) => 255 * srgbCode(step / steps))

function pqLight(code: number): number {
  const power = code ** (32 / 2523)
  return 10_000 * (Math.max(0, power - 0.8359375) / (18.8515625 - 18.6875 * power)) ** (16_384 / 2610)
}

function hlgLight(code: number): number {
  return code <= 0.5 ? code ** 2 / 3 : (Math.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12
}

function srgbCode(light: number): number {
  return light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055
}

/**
 * Makes the colours of HDR film those of a usual screen: without this they are grey and dark. What is brighter than paper
 * is pressed together below white (Reinhard's curve, by the brightest of the three colours, which keeps the hue).
 */
export function toStandardRange(rgba: Uint8ClampedArray, transfer: 'pq' | 'hlg'): void {
  const light = curves[transfer]
  const most = (brightest / paperWhite) ** 2
  for (let at = 0; at < rgba.length; at += 4) {
    const [r, g, b] = [light[rgba[at]!]!, light[rgba[at + 1]!]!, light[rgba[at + 2]!]!]
    const peak = Math.max(r, g, b)
    const scale = ((1 + peak / most) / (1 + peak)) * steps
    for (let part = 0; part < 3; part += 1) {
      const [ofRed, ofGreen, ofBlue] = toNarrow[part]!
      const value = (ofRed * r + ofGreen * g + ofBlue * b) * scale
      rgba[at + part] = encoded[value <= 0 ? 0 : value >= steps ? steps : Math.round(value)]!
    }
  }
}
