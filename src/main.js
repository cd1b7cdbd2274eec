// Plain JavaScript, and src/main.ts is a link to it: a Node older than 24 can't read TypeScript, and must get as far as
// saying so.
import module from 'node:module'

if (Number(process.versions.node.split('.')[0]) < 24) {
  // biome-ignore lint/suspicious/noConsole: it is all that this Node can do
  console.error(
    `filmgate needs Node 24 or newer; this is ${process.version}. npm has installed one beside it: run "npm start", "npx filmgate …" or node_modules/.bin/node src/main.ts.`,
  )
  process.exitCode = 1
} else {
  // halves the start; written on a normal exit only
  module.enableCompileCache()
  const { runCommandLine } = await import('./cli/program.ts')
  await runCommandLine(process.argv.slice(2))
}
