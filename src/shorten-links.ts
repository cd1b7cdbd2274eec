/** Links as they stand in somebody's words, such as the cause of a failure. */
const link = /\bhttps?:\/\/[^\s"'<>\\]+/gi
const callback = /(\/callbacks\/[^/]+\/)[^/?#]+/

/**
 * A copy of a value whose links can't be used: what follows the path is what signs them, and the token of a callback is in
 * the path. A file within the value is told by its size.
 */
export function shortenLinks<T>(value: T): T {
  if (typeof value === 'string') return shorten(value) as T
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(shortenLinks) as T
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, shortenLinks(item)])) as T
}

function shorten(text: string): string {
  if (/^data:/i.test(text) && text.length > 200) return `${text.slice(0, 40)}… (${text.length} characters)`
  return text.replace(link, (url) => {
    const secret = url.search(/[?#]/)
    const bare = secret === -1 ? url : `${url.slice(0, secret)}?…`
    return bare.replace(/^(https?:\/\/)[^/@]*@/i, '$1…@').replace(callback, '$1…')
  })
}
