export interface FilmSize {
  width: number
  height: number
}

/** What may be encoded anew: 40 s in 4K, or three minutes in full HD, both of 30 frames per second. */
export const mostMegapixels = 10_000
/** What a million pixels take a slow machine, to read, convert and encode. They take 25 ms on a usual core. */
export const msPerMegapixel = 80
export const msToBegin = 60_000
/** What the longest film that is taken may take. Whoever ends the thread waits somewhat longer. */
export const mostEncodingMs = msToBegin + mostMegapixels * msPerMegapixel
