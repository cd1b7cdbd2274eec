// No host but this one: no proxy, no telemetry, no fonts or chat from elsewhere.
const folder = document.currentScript.src.replace(/\/[^/]*$/, '')
globalThis.Scalar.createApiReference('#reference', {
  url: '/openapi.json',
  // the address in the bar, whichever of the server's names it is: the page may ask no other
  servers: [{ url: location.origin }],
  withDefaultFonts: false,
  telemetry: false,
  proxyUrl: '',
  hideClientButton: true,
  showDeveloperTools: 'never',
  agent: { disabled: true },
  mcp: { disabled: true },
  hideModels: true,
  customCss: `
    @font-face { font-family: Inter; font-weight: 400; src: url("${folder}/inter-400.woff2") }
    @font-face { font-family: Inter; font-weight: 600 700; src: url("${folder}/inter-600.woff2") }
    :root { --scalar-font: Inter, system-ui, sans-serif }`,
  defaultHttpClient: { targetKey: 'shell', clientKey: 'curl' },
  metaData: { title: 'Interactive reference · filmgate' },
})
