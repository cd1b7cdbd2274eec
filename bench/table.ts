/** Latencies of one run, in ms. */
export interface Run {
  perSecond: number
  p50: number
  p99: number
}

/** Runs `clients` loops of `once` side by side for `seconds` and measures every call. */
export async function measure(
  clients: number,
  seconds: number,
  once: (client: number) => Promise<unknown>,
): Promise<Run> {
  const latencies: number[] = []
  const start = performance.now()
  const end = start + seconds * 1000
  const loop = async (client: number) => {
    for (let now = performance.now(); now < end; ) {
      await once(client)
      const after = performance.now()
      latencies.push(after - now)
      now = after
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, client) => loop(client)))
  const elapsedSeconds = (performance.now() - start) / 1000
  latencies.sort((a, b) => a - b)
  const at = (share: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0
  return { perSecond: latencies.length / elapsedSeconds, p50: at(0.5), p99: at(0.99) }
}

/** Prints rows under a head, columns padded: text to the left, numbers to the right. */
export function printTable(head: string[], rows: (string | number)[][]): void {
  const text = [
    head,
    ...rows.map((row) => row.map((cell) => (typeof cell === 'number' ? figure(cell) : cell))),
  ]
  const widths = head.map((_, column) => Math.max(...text.map((row) => row[column]?.length ?? 0)))
  for (const [index, row] of text.entries()) {
    const isNumber = (column: number) => typeof rows[Math.max(0, index - 1)]?.[column] === 'number'
    console.log(
      row
        .map((cell, column) =>
          isNumber(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
        )
        .join('  ')
        .trimEnd(),
    )
  }
}

function figure(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(2)
}
