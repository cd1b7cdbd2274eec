/** A monogram in the provider's colour, as SVG. */
export function logo(provider: { name: string; color: string }): string {
  const initials = provider.name
    .split(/[\s.-]+/)
    .map((word) => word[0] ?? '')
    .join('')
    .slice(0, 2)
    .toUpperCase()
    .replace(/[^\p{L}\p{N}]/gu, '')
    .concat(provider.name.endsWith('+') ? '+' : '')
  const ink = isLight(provider.color) ? '#0b0d12' : '#ffffff'
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64" role="img" aria-label="${initials}"><rect width="64" height="64" rx="16" fill="${provider.color}"/><text x="32" y="33" fill="${ink}" font-family="Inter, system-ui, sans-serif" font-size="${initials.length > 1 ? 26 : 32}" font-weight="700" text-anchor="middle" dominant-baseline="central">${initials}</text></svg>\n`
}

// By the luminance of WCAG 2: above it dark letters have the better contrast.
function isLight(color: string): boolean {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((start) => {
    const share = Number.parseInt(color.slice(start, start + 2), 16) / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179
}
