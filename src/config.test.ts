import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { ConfigError, loadConfig } from './config.ts'

test('without any setting the documented defaults hold', () => {
  assert.deepEqual(loadConfig({}), {
    host: '127.0.0.1',
    port: 8787,
    role: 'all',
    dataDir: resolve('data'),
    databaseUrl: undefined,
    publicUrl: 'http://127.0.0.1:8787',
    s3: undefined,
    upstreams: {},
    minMargin: undefined,
    allowPrivateNetwork: false,
    trustedProxies: [],
    proxyHeader: 'x-forwarded-for',
    corsOrigins: undefined,
    maxConnections: 10_000,
    maxConnectionsPerAddress: 500,
    requestsPerMinute: 6_000,
    whenSuspended: 'refuse',
    logLevel: 'info',
    logFormat: undefined,
    healthPort: undefined,
    minFreeDiskBytes: 1_000_000_000,
  })
})

const s3Environment = {
  S3_ENDPOINT: 'https://s3.example.com/storage/v1',
  S3_REGION: 'eu-central-1',
  S3_BUCKET: 'films.example',
  S3_ACCESS_KEY_ID: 'AKIA-hunter1',
  S3_SECRET_ACCESS_KEY: 'hunter2/+=',
}

const upstreamEnvironment = {
  KLING_ACCESS_KEY: 'AK-hunter3',
  KLING_SECRET_KEY: 'SK-hunter4',
  KLING_BASE_URL: 'https://kling.example/',
  KLING_WEBHOOK_SECRET: 'whsec_hunter5',
  FAL_API_KEY: 'id:hunter6',
}

test('an empty or blank value counts as unset', () => {
  const names = ['PORT', 'HOST', 'FILMGATE_DATA_DIR', 'DATABASE_URL', 'PUBLIC_URL', 'FILMGATE_LOG_LEVEL']
  names.push(...Object.keys(s3Environment), ...Object.keys(upstreamEnvironment))
  for (const blank of ['', '  ']) {
    const environment = Object.fromEntries(
      [...names, 'FILMGATE_ALLOW_PRIVATE_NETWORK'].map((name) => [name, blank]),
    )
    assert.deepEqual(loadConfig(environment), loadConfig({}))
  }
})

test('the origin of links follows address and port, unless the port is still to be found', () => {
  assert.equal(loadConfig({ HOST: '::1', PORT: '80' }).publicUrl, 'http://[::1]:80')
  assert.equal(loadConfig({ PORT: '0' }).publicUrl, undefined)
  assert.equal(loadConfig({ PORT: '0', PUBLIC_URL: 'https://a.example' }).publicUrl, 'https://a.example')
})

test('every setting is read, and the command line stands above the environment', () => {
  const environment = {
    PORT: '1234',
    HOST: '0.0.0.0',
    FILMGATE_DATA_DIR: '/var/lib/filmgate',
    DATABASE_URL: 'postgresql://a:b@c/d',
    PUBLIC_URL: 'https://films.example.com/',
    ...s3Environment,
    ...upstreamEnvironment,
    FILMGATE_MIN_MARGIN: '12.5',
    FILMGATE_ALLOW_PRIVATE_NETWORK: '1',
    FILMGATE_TRUSTED_PROXIES: '10.0.0.0/8, ::ffff:192.0.2.7 2001:db8::/32',
    FILMGATE_PROXY_HEADER: 'Forwarded',
    FILMGATE_CORS_ORIGINS: 'https://App.example.com/,http://localhost:5173',
    FILMGATE_MAX_CONNECTIONS: '99',
    FILMGATE_MAX_CONNECTIONS_PER_ADDRESS: '9',
    FILMGATE_REQUESTS_PER_MINUTE: '60',
    FILMGATE_WHEN_SUSPENDED: 'hold',
    FILMGATE_HEALTH_PORT: '9090',
    FILMGATE_MIN_FREE_DISK: '2GiB',
    FILMGATE_LOG_LEVEL: 'debug',
    FILMGATE_LOG_FORMAT: 'text',
  }
  const config = loadConfig(environment)
  assert.deepEqual(config, {
    host: '0.0.0.0',
    port: 1234,
    role: 'all',
    dataDir: '/var/lib/filmgate',
    databaseUrl: 'postgresql://a:b@c/d',
    publicUrl: 'https://films.example.com',
    s3: {
      endpoint: 'https://s3.example.com/storage/v1',
      region: 'eu-central-1',
      bucket: 'films.example',
      accessKeyId: 'AKIA-hunter1',
      secretAccessKey: 'hunter2/+=',
    },
    upstreams: {
      kling: {
        baseUrl: 'https://kling.example',
        accessKey: 'AK-hunter3',
        secretKey: 'SK-hunter4',
        webhookSecret: 'whsec_hunter5',
      },
      fal: { apiKey: 'id:hunter6' },
    },
    minMargin: '12.5',
    allowPrivateNetwork: true,
    trustedProxies: ['10.0.0.0/8', '::ffff:192.0.2.7', '2001:db8::/32'],
    proxyHeader: 'forwarded',
    corsOrigins: ['https://app.example.com', 'http://localhost:5173'],
    maxConnections: 99,
    maxConnectionsPerAddress: 9,
    requestsPerMinute: 60,
    whenSuspended: 'hold',
    healthPort: 9090,
    minFreeDiskBytes: 2 * 1024 ** 3,
    logLevel: 'debug',
    logFormat: 'text',
  })
  const flags = { port: '0', host: '::1', role: 'worker' }
  assert.deepEqual(loadConfig(environment, flags), { ...config, host: '::1', port: 0, role: 'worker' })
})

for (const [name, remedy, values] of [
  ['PORT', /give a port number from 0 to 65535/, ['65536', '-1', '80.5', 'http', '0x50', '8787 8788', '1e3']],
  [
    'PUBLIC_URL',
    /give an origin without a path, like https:\/\//,
    [
      'films.example.com',
      'https://films.example.com/api',
      'https://films.example.com/?x',
      'https://user:secret@films.example.com',
      'ftp://films.example.com',
      'https://',
    ],
  ],
  ['FILMGATE_ALLOW_PRIVATE_NETWORK', /give 1 to turn it on, or leave it unset/, ['yes', 'true', '2', 'on']],
  [
    'FILMGATE_MIN_MARGIN',
    /give per cent from -1000 to 100 as a plain decimal/,
    ['5%', '1e1', '101', '-1001', 'none', '+5', '.5', '12,5'],
  ],
  ['FILMGATE_LOG_FORMAT', /give one of text, json/, ['yaml', 'JSON']],
  ['FILMGATE_LOG_LEVEL', /give one of fatal, error, warn, info, debug, trace, silent/, ['verbose', 'INFO']],
  [
    'FILMGATE_FAULT_POINT',
    /leave it unset, or name one of submit\.commit, .* with :before or :after/,
    ['attempt.begin', 'attempt.begin:during', 'nowhere:after', 'attempt.begin:after:0'],
  ],
  [
    'DATABASE_URL',
    /write it as postgres:\/\/user:password@host\/database/,
    ['localhost', 'mysql://a:b@c/d', 'postgres://a:b@c:99999/d', 'postgres://a:b@c:x/d'],
  ],
  [
    'FILMGATE_TRUSTED_PROXIES',
    /neither an address nor a range: give a list like 10\.0\.0\.0\/8/,
    ['*', 'localhost', '10.0.0', '10.0.0.0/33', '10.0.0.1, proxy.example', 'fe80::1%eth0', '10.0.0.0/-1'],
  ],
  [
    'FILMGATE_PROXY_HEADER',
    /give one of x-forwarded-for, forwarded/,
    ['x-real-ip', 'x-forwarded-for, forwarded'],
  ],
  [
    'FILMGATE_CORS_ORIGINS',
    /give origins without a path, like https:\/\/app\.example\.com, or \* alone/,
    [
      'app.example.com',
      'https://app.example.com/x',
      'https://*.example.com/',
      '*, https://a.example',
      'null',
      'ftp://a.example',
    ],
  ],
  ['FILMGATE_HEALTH_PORT', /give a port number from 0 to 65535/, ['65536', '-1', '08080', '9e3', 'any']],
  [
    'FILMGATE_MIN_FREE_DISK',
    /give a whole number of MB, GB or TB, like 500MB or 2GB/,
    ['1', '1 GB', '1.5GB', '-1GB', '1gb', '1e3MB', '01GB', 'all', '10%'],
  ],
  [
    'FILMGATE_REQUESTS_PER_MINUTE',
    /give a whole number from 1 to/,
    ['0', '-1', '1e3', '6,000', '60.5', 'many', '010'],
  ],
] as const) {
  test(`a wrong ${name} is refused in one line that names it, what is wrong and what is right`, () => {
    for (const value of values) {
      assert.throws(
        () => loadConfig({ [name]: value }),
        (error: Error) => {
          assert.ok(error instanceof ConfigError)
          assert.ok(error.message.startsWith(`${name} is `), error.message)
          assert.match(error.message, remedy)
          assert.ok(!error.message.includes('\n'))
          if (name !== 'DATABASE_URL') assert.ok(error.message.includes(`"${value}"`))
          return true
        },
      )
    }
  })
}

test('a wrong DATABASE_URL is not repeated, as it may hold a password', () => {
  assert.throws(
    () => loadConfig({ DATABASE_URL: 'mysql://user:hunter2@host/db' }),
    (error: Error) => !error.message.includes('hunter2'),
  )
})

for (const [name, remedy, values] of [
  [
    'S3_ENDPOINT',
    /like https:\/\/s3.example.com/,
    [
      's3.example.com',
      'ftp://s3.example.com',
      'https://AKIA-hunter1:hunter2@s3.example.com',
      'https://s3.example.com?x',
    ],
  ],
  ['S3_REGION', /give a region like/, ['Frankfurt!', 'eu central']],
  ['S3_BUCKET', /give the name of a bucket/, ['a', 'films/outputs', 's3://films', '../films']],
  ['S3_ACCESS_KEY_ID', /without spaces/, ['hunter2 hunter2']],
  ['S3_SECRET_ACCESS_KEY', /without spaces/, ['hunter2 hunter2']],
  ['KLING_SECRET_KEY', /without spaces/, ['hunter2 hunter2', 'hunter2\r\nhost: x']],
  ['FAL_API_KEY', /without spaces/, ['hunter2 hunter2']],
  [
    'FAL_BASE_URL',
    /give an https URL without credentials or query/,
    [
      'queue.fal.example',
      'http://queue.fal.example',
      'https://hunter2@queue.fal.example',
      'https://queue.fal.example?hunter2',
      'http://127.0.0.1.example',
    ],
  ],
] as const) {
  test(`a wrong ${name} is refused in one line that names it and repeats no secret`, () => {
    for (const value of values) {
      assert.throws(
        () => loadConfig({ ...s3Environment, ...upstreamEnvironment, [name]: value }),
        (error: Error) => {
          assert.ok(error instanceof ConfigError)
          assert.ok(error.message.startsWith(`${name} is `), error.message)
          assert.match(error.message, remedy)
          assert.doesNotMatch(error.message, /hunter|\n/)
          return true
        },
      )
    }
  })
}

test('S3 settings are all there or none: what is missing is named', () => {
  for (const missing of Object.keys(s3Environment)) {
    assert.throws(
      () => loadConfig({ ...s3Environment, [missing]: '' }),
      (error: Error) =>
        error instanceof ConfigError && error.message.startsWith(`${missing} is not set, but S3_`),
    )
  }
})

test('a wrong flag is named as it was written', () => {
  assert.throws(() => loadConfig({ PORT: '80' }, { port: 'x' }), /^Error: --port is "x"/)
  assert.throws(
    () => loadConfig({}, { role: 'boss' }),
    /^Error: --role is "boss": give one of all, api, worker/,
  )
})

test('half a pair of keys of an upstream is refused in a line that names the other half, and a key on this machine may go without TLS', () => {
  assert.throws(() => loadConfig({ KLING_ACCESS_KEY: 'hunter2' }), {
    message: /^KLING_SECRET_KEY is not set, but KLING_ACCESS_KEY is: give both, or KLING_API_KEY/,
  })
  assert.throws(() => loadConfig({ KLING_SECRET_KEY: 'hunter2' }), {
    message: /^KLING_ACCESS_KEY is not set, but KLING_SECRET_KEY is/,
  })
  const { upstreams } = loadConfig({ FAL_API_KEY: 'a:b', FAL_BASE_URL: 'http://127.0.0.1:9000' })
  assert.deepEqual(upstreams, { fal: { apiKey: 'a:b', baseUrl: 'http://127.0.0.1:9000' } })
  // only where a pair is taken for a key
  assert.deepEqual(loadConfig({ FAL_ACCESS_KEY: 'a', FAL_SECRET_KEY: 'b' }).upstreams, {})
  assert.deepEqual(loadConfig({ KLING_BASE_URL: 'https://kling.example' }).upstreams, {})
})
