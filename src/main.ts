import { enableCompileCache } from 'node:module'

// halves the start; written on a normal exit only
enableCompileCache()
const { runCommandLine } = await import('./cli/program.ts')
await runCommandLine(process.argv.slice(2))
