/** Of an upstream's words far fewer are kept. */
const mostCharacters = 4_000

/**
 * Takes out of an upstream's words what may not be kept: the keys, tokens, and of URLs what permits to use them, since
 * upstreams repeat the addresses of input files and callbacks; what is left is one line. To be cut only afterwards: half a key
 * is none that is found.
 */
export function hiding(secrets: (string | undefined)[]): (text: string) => string {
  const keys = secrets.filter((secret) => secret !== undefined && secret !== '')
  return (text) =>
    keys
      .reduce<string>((hidden, key) => hidden.replaceAll(key!, '(key)'), text)
      // looking for the others takes the square of the length
      .slice(0, mostCharacters)
      .replaceAll(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, '(token)')
      .replaceAll(/(job_[0-9a-z]{1,60}\.)[\w-]{20,43}/g, '$1(token)')
      // a new line, or what a terminal obeys, could pass for words of ours
      .replaceAll(/[\s\p{Cc}\p{Bidi_Control}]+/gu, ' ')
      .replaceAll(/(https?(?::|%3a)[^\s"'<>?]+?(?:\?|%3f))[^\s"'<>]+/gi, '$1(query)')
}
