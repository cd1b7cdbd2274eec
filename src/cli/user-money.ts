import type { Command } from 'commander'
import type { Db } from '../db.ts'
import { dollars } from '../dollars.ts'
import type { Moved } from '../ledger/by-hand.ts'
import { word } from './arguments.ts'
import { amount, note, reference, requireOneOf, usdOption } from './money.ts'
import { CommandFailed, print, table, withDatabase } from './output.ts'
import { requireUser } from './user.ts'

interface MoneyOptions {
  usd?: bigint
  test?: boolean
  note?: string
  reference?: string
  json?: boolean
}

const scripts = `
A script that may run twice gives --reference: the same reference moves the money once, and another amount under it is
refused.`

export function addUserMoneyCommands(user: Command): void {
  money(user, 'credit')
    .description('Add to the balance of a user. What the user owes is paid from it first.')
    .addHelpText(
      'after',
      `${scripts}\n\nExample:\n  filmgate user credit ada@example.com --usd 5.00 --reference invoice-7`,
    )
    .action(async (idOrEmail: string, given: bigint | undefined, options: MoneyOptions, command: Command) => {
      const sum = requireOneOf(command, amountName, given, options.usd)
      const { creditOnce } = await byHand()
      await withDatabase(async ({ pool }) => {
        const { userId } = await requireUser(pool, idOrEmail)
        const moved = await creditOnce(pool, { userId, mode: modeOf(options) }, sum, options)
        await printBalances(pool, userId, moved, options)
      })
    })
  money(user, 'debit')
    .description(
      'Take from the balance of a user. More than there is is refused, unless it may be owed: then live submits are refused until credits have paid it.',
    )
    .option('--owe', 'take what is there, and let the user owe the rest')
    .addHelpText(
      'after',
      `${scripts}\n\nExample:\n  filmgate user debit ada@example.com --usd 5.00 --note "paid back by card"`,
    )
    .action(
      async (
        idOrEmail: string,
        given: bigint | undefined,
        options: MoneyOptions & { owe?: boolean },
        command: Command,
      ) => {
        const sum = requireOneOf(command, amountName, given, options.usd)
        const { debit } = await byHand()
        await withDatabase(async ({ pool }) => {
          const { userId } = await requireUser(pool, idOrEmail)
          const moved = await debit(pool, { userId, mode: modeOf(options) }, sum, {
            ...options,
            mayOwe: options.owe ?? false,
          })
          const remedy = options.owe ? '' : '; --owe takes what is there and lets the user owe the rest'
          await printBalances(pool, userId, moved, options, remedy)
        })
      },
    )
}

// only when it is needed: every help starts sooner without the database's code
const byHand = () => import('../ledger/by-hand.ts')

const amountName = '<amount_microcents>'

function money(user: Command, name: 'credit' | 'debit'): Command {
  return user
    .command(name)
    .argument('<user>', 'user id or e-mail address', word)
    .argument('[amount_microcents]', 'amount in micro-cents; 1,000,000 are $1.00', amount)
    .addOption(usdOption('the amount'))
    .option('--test', 'the test balance, not the live one')
    .option('--note <text>', 'why', note)
    .option('--reference <name>', 'moves the money once, however often it is asked for', reference)
    .option('--json', 'print one JSON document')
}

function modeOf({ test }: MoneyOptions): 'live' | 'test' {
  return test ? 'test' : 'live'
}

async function printBalances(
  db: Db,
  userId: string,
  moved: Moved,
  options: MoneyOptions,
  remedy = '',
): Promise<void> {
  if (typeof moved === 'object') {
    const isShort = moved.refused.startsWith('the balance')
    throw new CommandFailed(`${moved.refused}; nothing was changed${isShort ? remedy : ''}`)
  }
  const user = await requireUser(db, userId)
  const { balanceMicroCents, testBalanceMicroCents, owedMicroCents, testOwedMicroCents } = user
  const isRepeated = moved === 'repeated'
  const document = {
    userId,
    balanceMicroCents,
    testBalanceMicroCents,
    ...(owedMicroCents + testOwedMicroCents > 0 && { owedMicroCents, testOwedMicroCents }),
    ...(isRepeated && { isRepeated }),
  }
  print(options, document, [
    ...(isRepeated ? [`The reference ${options.reference} was used before: nothing was moved.`] : []),
    ...table([
      ['live', dollars(balanceMicroCents), ...owes(owedMicroCents)],
      ['test', dollars(testBalanceMicroCents), ...owes(testOwedMicroCents)],
    ]),
  ])
}

function owes(microCents: number): string[] {
  return [microCents === 0 ? '' : `owes ${dollars(microCents)}`]
}
