import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { apiErrors } from '../src/errors.ts'
import { routes } from '../src/http/app.ts'
import { cloneDatabase } from './database.ts'
import { startGateway } from './gateway.ts'

interface MediaType {
  schema?: object
  example?: unknown
  examples?: Record<string, { $ref: string }>
}

interface Operation {
  operationId: string
  requestBody?: { content: Record<string, MediaType> }
  responses: Record<string, { content?: Record<string, MediaType> }>
}

const database = await cloneDatabase()
const gateway = await startGateway({ databaseUrl: database.url, role: 'api' })
const { body: document } = await gateway.call('GET', '/openapi.json')
const operations = Object.entries(document.paths as Record<string, Record<string, Operation>>).flatMap(
  ([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
)

// Unknown keywords are the document's own; the check is whether examples fit.
const ajv = new Ajv2020({ strict: false, allErrors: true })
addFormats.default(ajv)
ajv.addSchema(document, 'openapi')

/** The schema with its references led into the document. */
const compile = (schema: object) =>
  ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"openapi#/components')))

test('the document is valid OpenAPI 3.1', async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(document))
  assert.ok(valid, JSON.stringify(errors, null, 2))
  assert.equal(document.openapi, '3.1.0')
  assert.deepEqual(document.servers, [{ url: gateway.url }])
})

test('every declared operation is in it, under an id of its own', () => {
  const found = operations.map(({ path, method }) => `${method.toUpperCase()} ${path}`)
  const declared = routes.map(({ method, path }) => `${method} ${path.replace(/:(\w+)\+?/g, '{$1}')}`)
  assert.deepEqual(
    declared.filter((address) => !found.includes(address)),
    [],
  )
  const ids = operations.map(({ operation }) => operation.operationId)
  assert.equal(new Set(ids).size, ids.length)
})

test('every error code is in it with an example, and each operation lists its own under their status', () => {
  assert.deepEqual(Object.keys(document.components.examples).sort(), Object.keys(apiErrors).sort())
  for (const { method, path, errors } of routes) {
    const operation = document.paths[path.replace(/:(\w+)\+?/g, '{$1}')][method.toLowerCase()] as Operation
    for (const code of errors) {
      const answer = operation.responses[String(apiErrors[code].status)]
      assert.ok(answer?.content?.['application/json']?.examples?.[code], `${method} ${path}: ${code}`)
    }
  }
})

test('every example fits its own schema', () => {
  for (const { path, method, operation } of operations) {
    const bodies = operation.requestBody?.content ?? {}
    const answers = operation.responses['200']?.content ?? {}
    for (const { schema, example } of [...Object.values(bodies), ...Object.values(answers)]) {
      if (schema === undefined) continue
      assert.notEqual(example, undefined, `${method} ${path} has no example`)
      const validate = compile(schema)
      assert.ok(validate(example), `${method} ${path}: ${ajv.errorsText(validate.errors)}`)
    }
    for (const [status, { content }] of Object.entries(operation.responses)) {
      const { schema, examples = {} } = content?.['application/json'] ?? {}
      for (const code of Object.keys(examples)) {
        const validate = compile(schema!)
        const { value } = document.components.examples[code]
        assert.ok(validate(value), `${method} ${path} ${status} ${code}: ${ajv.errorsText(validate.errors)}`)
      }
    }
  }
})

test('an answer of the server fits the schema that it documents', async () => {
  const { body } = await gateway.call('GET', '/v1/catalog/models')
  const { schema } = document.paths['/v1/catalog/models'].get.responses['200'].content['application/json']
  const validate = compile(schema)
  assert.ok(validate(body), ajv.errorsText(validate.errors))
  const refused = await gateway.call('POST', '/v1/jobs/submit', { body: {} })
  const error = compile(document.components.schemas.Error)
  assert.ok(error(refused.body), ajv.errorsText(error.errors))
})

test('the interactive reference comes from this server alone', async () => {
  const page = await gateway.call('GET', '/docs/api')
  assert.equal(page.status, 200)
  assert.match(page.headers.get('content-security-policy')!, /connect-src 'self'/)
  const scripts = [...(page.body as string).matchAll(/<script src="([^"]+)"/g)].map(([, address]) => address!)
  for (const address of scripts) {
    assert.match(address, /^\/docs\/assets\//)
    const script = await gateway.call('GET', address)
    assert.deepEqual(
      [script.status, script.headers.get('content-type')],
      [200, 'text/javascript; charset=utf-8'],
    )
  }
})
