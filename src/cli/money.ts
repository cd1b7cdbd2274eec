import { type Command, Option } from 'commander'
import { parser, refuse } from './arguments.ts'

// 10^15 micro-cents are a billion dollars, and exact as a JSON number.
const most = '999999999999999'

/** An amount in micro-cents, from 1 up. */
export const amount = parser('amount', (text) =>
  /^[1-9]\d{0,14}$/.test(text)
    ? BigInt(text)
    : refuse(`give a whole number of micro-cents from 1 to ${most}; 1000000 are $1.00`),
)

/** A price or limit in micro-cents, from 0 up. */
export const microCents = parser('micro-cents', (text) =>
  /^(0|[1-9]\d{0,14})$/.test(text)
    ? BigInt(text)
    : refuse(`give a whole number of micro-cents from 0 to ${most}; 1000000 are $1.00`),
)

/** Dollars as micro-cents, exact: 5.00 → 5000000. */
export const usd = parser('dollars', (text) => {
  const [, whole, fraction = ''] = /^(0|[1-9]\d{0,8})(?:\.(\d{1,6}))?$/.exec(text) ?? []
  if (whole !== undefined) return BigInt(whole + fraction.padEnd(6, '0'))
  return refuse('give dollars as a plain decimal with at most six places and no sign, like 5.00')
})

/** `--usd`, the same amount as `beside` in dollars. */
export function usdOption(beside: string): Option {
  return new Option('--usd <dollars>', `${beside} in dollars, like 5.00`).argParser(usd)
}

/** The one amount that was given, in micro-cents or in dollars; undefined where neither was. */
export function oneOf(
  command: Command,
  names: string,
  inMicroCents: bigint | undefined,
  inDollars: bigint | undefined,
): bigint | undefined {
  if (inMicroCents === undefined || inDollars === undefined) return inMicroCents ?? inDollars
  return command.error(`error: ${names} and --usd cannot stand beside each other: give one of the two`, {
    exitCode: 2,
  })
}

/** The same where one is needed, and it is more than nothing. */
export function requireOneOf(
  command: Command,
  names: string,
  inMicroCents: bigint | undefined,
  inDollars: bigint | undefined,
): bigint {
  const given = oneOf(command, names, inMicroCents, inDollars)
  if (given === undefined) return command.error(`error: give ${names} or --usd`, { exitCode: 2 })
  if (given === 0n) return command.error('error: the amount must be more than 0', { exitCode: 2 })
  return given
}

/** Why money is moved, in words of up to 500 characters. */
export const note = parser('reason', (text) =>
  text.trim() !== '' && text.length <= 500 && isOneLine(text)
    ? text
    : refuse('give one line of 1 to 500 characters, like "contract 7"'),
)

/** The operator's own name of a transfer. */
export const reference = parser('reference', (text) =>
  text.trim() !== '' && text.length <= 255 && isOneLine(text)
    ? text
    : refuse('give one line of 1 to 255 characters, like invoice-7'),
)

function isOneLine(text: string): boolean {
  return text.isWellFormed() && !/\p{Cc}/u.test(text)
}
