import { once } from 'node:events'
import { createServer } from 'node:net'
import { ConfigError } from './config.ts'

/** Refuses an address and port that can't be listened on, before anything else is started for nothing. */
export async function tryPort(
  setting: string,
  { host, port }: { host: string; port: number },
): Promise<void> {
  const probe = createServer().listen({ host, port })
  await once(probe, 'listening').catch((error) => {
    throw faultOf(error, setting, { host, port })
  })
  probe.close()
  await once(probe, 'close')
}

function faultOf(
  { code, syscall, message }: NodeJS.ErrnoException,
  setting: string,
  { host, port }: { host: string; port: number },
): ConfigError {
  if (code === 'EADDRINUSE') {
    const other = setting === 'PORT' ? 'another --port' : `another ${setting}`
    return new ConfigError(`${setting} ${port} is taken by another program: stop it, or give ${other}`)
  }
  if (code === 'EACCES') {
    return new ConfigError(
      `${setting} ${port} may not be opened by this user: give one from 1024 up, or give the user the right to (CAP_NET_BIND_SERVICE)`,
    )
  }
  const what = syscall === 'getaddrinfo' ? 'is not a known name' : `can't be listened on (${message})`
  return new ConfigError(`HOST is "${host}", which ${what}: give an address of this machine, like 127.0.0.1`)
}
