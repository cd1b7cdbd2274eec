/** The brightness that paper white has in HDR film, and the most that is shown of it, in candela per square metre. */
const [paperWhite, brightest] = [203, 1000]
const steps = 4096

/** From the red, green and blue of wider screens to those of BT.709, by their names in WebCodecs: BT.2020 and Display P3. */
const toNarrow: Record<string, readonly (readonly [number, number, number])[]> = {
  bt2020: [
    [1.6605, -0.5876, -0.0728],
    [-0.1246, 1.1329, -0.0083],
    [-0.0182, -0.1006, 1.1187],
  ],
  smpte432: [
    [1.2249, -0.2249, 0],
    [-0.0421, 1.0421, 0],
    [-0.0196, -0.0786, 1.0983],
  ],
}
const asTheyAre = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
] as const

/** Linear light by code value, in units of paper white. */
const curves = {
  pq: Float32Array.from({ length: 256 }, (_, code) => pqLight(code / 255) / paperWhite),
  // of the scene: what a screen makes of it depends on all three colours
  hlg: Float32Array.from({ length: 256 }, (_, code) => hlgLight(code / 255)),
  srgb: Float32Array.from({ length: 256 }, (_, code) => srgbLight(code / 255)),
}
/** How much brighter a screen of 1,000 cd/m² shows HLG by the scene's luminance (BT.2100, reference OOTF), in units of paper white. */
const hlgGain = Float32Array.from(
  { length: steps + 1 },
  (_, step) => (brightest * (step / steps) ** 0.2) / paperWhite,
)
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

function srgbLight(code: number): number {
  return code <= 0.04045 ? code / 12.92 : ((code + 0.055) / 1.055) ** 2.4
}

/** How colours are stored, by the names of WebCodecs. */
export interface ColourTags {
  transfer?: string | undefined
  primaries?: string | undefined
}

/** Those names by the numbers of ISO/IEC 23091-2, for what differs from sRGB. DCI-P3 has another white, which is no matter here. */
export function colourTags(primaries: number, transfer: number): ColourTags {
  return {
    primaries: { 9: 'bt2020', 11: 'smpte432', 12: 'smpte432' }[primaries],
    transfer: { 16: 'pq', 18: 'hlg' }[transfer],
  }
}

export function isHdrTransfer(transfer: string | undefined): boolean {
  return transfer === 'pq' || transfer === 'hlg'
}

/** Whether colours with these tags would be shown wrongly as sRGB. */
export function areForeign({ transfer, primaries }: ColourTags): boolean {
  return isHdrTransfer(transfer) || toNarrow[primaries ?? ''] !== undefined
}

/**
 * Makes the colours of wide and HDR pictures and films those of a usual screen: without this they are grey and dark. What is
 * brighter than paper white is pressed together below white (Reinhard's curve extended to 1,000 cd/m², by the brightest of the
 * three colours, which keeps the hue). What is sRGB already stays.
 */
export function toStandardColours(rgba: Uint8ClampedArray | Uint8Array, tags: ColourTags): void {
  if (!areForeign(tags)) return
  const { transfer } = tags
  const isHlg = transfer === 'hlg'
  const isHdr = isHdrTransfer(transfer)
  const light = isHlg ? curves.hlg : isHdr ? curves.pq : curves.srgb
  const [toRed, toGreen, toBlue] = toNarrow[tags.primaries ?? (isHdr ? 'bt2020' : '')] ?? asTheyAre
  const most = (brightest / paperWhite) ** 2
  const code = (value: number) => encoded[value <= 0 ? 0 : value >= steps ? steps : Math.round(value)]!
  for (let at = 0; at < rgba.length; at += 4) {
    const [r, g, b] = [light[rgba[at]!]!, light[rgba[at + 1]!]!, light[rgba[at + 2]!]!]
    const gain = isHlg ? hlgGain[Math.round((0.2627 * r + 0.678 * g + 0.0593 * b) * steps)]! : 1
    const peak = Math.max(r, g, b) * gain
    const scale = (isHdr ? (1 + peak / most) / (1 + peak) : 1) * gain * steps
    rgba[at] = code((toRed![0] * r + toRed![1] * g + toRed![2] * b) * scale)
    rgba[at + 1] = code((toGreen![0] * r + toGreen![1] * g + toGreen![2] * b) * scale)
    rgba[at + 2] = code((toBlue![0] * r + toBlue![1] * g + toBlue![2] * b) * scale)
  }
}
