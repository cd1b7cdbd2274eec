/** The coat's colours, as they lie under the hairs. */
export const fur = {
  light: '#f6b878',
  middle: '#e08b43',
  dark: '#a9562a',
  stripe: '#8a3f1f',
  white: '#fff4e4',
}

/** Single hairs of the ginger parts, see-through so that many make a coat. */
export const hairs = [
  'rgba(255,214,160,0.35)',
  'rgba(240,160,90,0.3)',
  'rgba(130,60,25,0.22)',
  'rgba(255,235,205,0.25)',
]
/** The same for chest and muzzle. */
export const whiteHairs = ['rgba(255,255,255,0.5)', 'rgba(230,200,170,0.35)', 'rgba(255,246,230,0.5)']
