// The arrows of the house: main → http, worker, cli → jobs → ledger, pricing, catalogue, providers, storage, media,
// webhooks → db, errors, config, clock.
const lower =
  '^src/(ledger|accounts|pricing|catalogue|providers|storage|media|webhooks|uploads|queue|postgres)/'
const upper = '^src/(http|cli)/|^src/(main|serve)[.]ts$'

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-dev-dependencies-in-the-product',
      severity: 'error',
      from: { path: '^src/', pathNot: '[.]test[.]ts$' },
      to: { dependencyTypes: ['npm-dev'] },
    },
    {
      name: 'the-product-knows-nothing-of-what-tries-it',
      severity: 'error',
      from: { path: '^src/', pathNot: '[.]test[.]ts$' },
      to: { path: '^(test|bench|demo|torture)/' },
    },
    {
      name: 'main-is-on-top',
      severity: 'error',
      from: { path: '^src/', pathNot: '[.]test[.]ts$' },
      to: { path: '^src/main[.](ts|js)$' },
    },
    {
      name: 'only-main-and-the-command-line-wire',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(main|cli/)|[.]test[.]ts$' },
      to: { path: '^src/serve[.]ts$' },
    },
    {
      name: 'jobs-know-nothing-above-them',
      severity: 'error',
      from: { path: '^src/jobs/', pathNot: '[.]test[.]ts$' },
      to: { path: upper },
    },
    {
      name: 'docs-know-nothing-above-them',
      severity: 'error',
      from: { path: '^src/docs/', pathNot: '[.]test[.]ts$' },
      to: { path: `^src/jobs/|${upper}` },
    },
    {
      name: 'the-lower-row-knows-nothing-above-it',
      severity: 'error',
      from: { path: lower, pathNot: '[.]test[.]ts$' },
      to: { path: `^src/jobs/|${upper}` },
    },
    {
      name: 'the-ground-knows-nothing-above-it',
      severity: 'error',
      from: { path: '^src/(db|errors|config|clock|ids|coalesce|outbound)[.]ts$' },
      to: { path: '^src/[a-z]+/' },
    },
    {
      name: 'providers-know-no-database',
      severity: 'error',
      from: { path: '^src/providers/' },
      to: {
        path: '^src/(db|database|migrate)[.]ts$|^src/(ledger|accounts|uploads|queue|postgres|pricing)/|node_modules/pg/',
      },
    },
    {
      name: 'pricing-does-no-io',
      severity: 'error',
      from: { path: '^src/pricing/', pathNot: '[.]test[.]ts$' },
      to: { pathNot: '^src/pricing/|^(node:)?crypto$' },
    },
    {
      name: 'the-ledger-knows-amounts-and-ids',
      severity: 'error',
      from: { path: '^src/ledger/', pathNot: '[.]test[.]ts$' },
      to: { path: '^src/', pathNot: '^src/ledger/|^src/db[.]ts$' },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['node', 'import', 'default'] },
  },
}
