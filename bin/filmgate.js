#!/usr/bin/env node
// Runs filmgate on Node 24, which reads TypeScript as it is: on this very Node if it is new enough, else on the
// one that npm installed beside it.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const main = new URL('../src/main.js', import.meta.url)
if (Number(process.versions.node.split('.')[0]) >= 24) {
  await import(main.href)
} else {
  const node = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url))
  if (!existsSync(node)) {
    console.error(
      `filmgate needs Node 24 or newer; this is ${process.version}, and npm installed none beside it.`,
    )
    process.exit(1)
  }
  // the channel closes when this process ends, whatever it dies of: that is how the other one learns of it
  const child = spawn(node, [fileURLToPath(main), ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  })
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']
  for (const signal of signals) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    console.error(`filmgate: ${node} can not be run: ${error.message}`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    // ends as the other one did
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}
