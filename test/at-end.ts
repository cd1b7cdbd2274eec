import { after } from 'node:test'

const closers: (() => unknown)[] = []

after(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** Runs `close` after all tests of the calling file, last opened first: hooks of `after` run the other way round. */
export function atEnd(close: () => unknown): void {
  closers.push(close)
}
