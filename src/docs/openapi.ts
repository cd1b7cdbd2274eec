import { type ApiErrorCode, apiErrors } from '../errors.ts'
import { groupOf, inOrder, type Operation, slugOf } from './operation.ts'
import type { Subject } from './subject.ts'

type JsonObject = { [name: string]: unknown }

/** The OpenAPI 3.1 document of the operations. */
export function openApi({ operations, models, origin }: Subject): JsonObject {
  const slugs = models.map(({ slug }) => slug)
  const paths: Record<string, JsonObject> = {}
  for (const operation of operations) {
    const path = operation.path.replace(/:(\w+)\+?/g, '{$1}')
    paths[path] = { ...paths[path], [operation.method.toLowerCase()]: describe(operation, slugs) }
  }
  return plainJson({
    openapi: '3.1.0',
    info: {
      title: 'filmgate',
      version: '1',
      description:
        'One HTTP API in front of generative video and image models. Amounts are whole micro-cents: 1,000,000 are US $1.00.',
    },
    servers: [{ url: origin }],
    externalDocs: { url: `${origin}/docs`, description: 'Guides, and a page for every model' },
    tags: [...new Set(operations.map(groupOf))].map((name) => ({ name })),
    security: [{ bearer: [] }, { apiKey: [] }],
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'An API key: pb_live_… or pb_test_….' },
        apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key', description: 'The same key.' },
      },
      headers: {
        RequestId: {
          description: 'Names the request; report it when something went wrong.',
          schema: { type: 'string', examples: ['req_mi8q2k0x0a1s5d7f9g3h5j7k'] },
        },
        RetryAfter: {
          description: 'After how many seconds to try again.',
          schema: { type: 'integer', minimum: 0 },
        },
      },
      schemas: { Error: errorSchema },
      examples: Object.fromEntries(allCodes.map((name) => [name, { value: errorExample(name) }])),
    },
  })
}

const allCodes = inOrder(Object.keys(apiErrors) as ApiErrorCode[])

const errorSchema = {
  type: 'object',
  required: ['success', 'error', 'requestId'],
  properties: {
    success: { const: false },
    error: {
      type: 'object',
      required: ['code', 'message'],
      properties: {
        code: { type: 'string', enum: allCodes, description: 'For programs; it does not change.' },
        message: { type: 'string', description: 'For people; it may change.' },
        details: {
          type: 'object',
          description: 'What else is known: issues of an input, the balance, retryAfter.',
          additionalProperties: true,
        },
      },
    },
    requestId: { type: 'string' },
  },
}

function errorExample(code: ApiErrorCode): JsonObject {
  const { status, meaning, remedy } = apiErrors[code]
  const isLater = status === 429 || status === 503
  return {
    success: false,
    error: { code, message: `${meaning} ${remedy}`, ...(isLater && { details: { retryAfter: 5 } }) },
    requestId: 'req_mi8q2k0x0a1s5d7f9g3h5j7k',
  }
}

function describe(operation: Operation, models: string[]): JsonObject {
  const body = withModels(operation.body, models)
  const { bodyType, exampleBody, isBodyOptional = false, scope } = operation
  const needs = scope === undefined || scope === 'any' ? [] : [`Needs the scope \`${scope}\`.`]
  return {
    operationId: slugOf(operation).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase()),
    summary: operation.name,
    description: [operation.summary, operation.description, ...needs].filter(Boolean).join('\n\n'),
    tags: [groupOf(operation)],
    // an optional key personalises what needs none
    ...(scope === undefined && { security: [] }),
    parameters: [
      ...parameters('path', operation.params),
      ...parameters('query', operation.query),
      ...parameters('header', operation.headers),
    ],
    ...(body !== undefined && {
      requestBody: {
        required: !isBodyOptional,
        content: {
          'application/json': { schema: body, ...(exampleBody !== undefined && { example: exampleBody }) },
        },
      },
    }),
    ...(bodyType !== undefined && {
      requestBody: {
        required: true,
        content: Object.fromEntries(bodyType.split(', ').map((type) => [type, {}])),
      },
    }),
    responses: {
      200: {
        description: operation.summary,
        headers: requestIdHeader,
        content: answerContent(operation),
      },
      ...(operation.isStream && {
        204: { description: 'There are no more events, and there will be none.', headers: requestIdHeader },
      }),
      ...Object.fromEntries(
        Object.entries(operation.otherAnswers ?? {}).map(([status, description]) => [
          status,
          { description, headers: requestIdHeader },
        ]),
      ),
      ...errorResponses(operation.errors),
    },
  }
}

// Of a stream the schema is that of one event's data: OpenAPI 3.1 has no word for events.
function answerContent({ answer, answerType, example, isStream }: Operation): JsonObject {
  if (answerType !== undefined) return { '*/*': {} }
  return { [isStream ? 'text/event-stream' : 'application/json']: { schema: answer, example } }
}

/** The body with the models that there are as examples of its field `model`. */
function withModels(body: object | undefined, models: string[]): object | undefined {
  const { properties } = (body ?? {}) as { properties?: Record<string, object> }
  if (properties?.model === undefined || models.length === 0) return body
  return { ...body, properties: { ...properties, model: { ...properties.model, examples: models } } }
}

const requestIdHeader = { 'x-request-id': { $ref: '#/components/headers/RequestId' } }
const retryHeader = { 'retry-after': { $ref: '#/components/headers/RetryAfter' } }

// Fields of a schema as single parameters; names that only a pattern describes are left to the description.
function parameters(place: string, schema: object | undefined): JsonObject[] {
  const { properties = {}, required = [] } = (schema ?? {}) as {
    properties?: Record<string, JsonObject>
    required?: string[]
  }
  return Object.entries(properties).map(([name, { description, example, ...rest }]) => ({
    name,
    in: place,
    required: place === 'path' || (required.includes(name) && rest.default === undefined),
    ...(description !== undefined && { description }),
    schema: rest,
    ...(example !== undefined && { example }),
  }))
}

function errorResponses(codes: readonly ApiErrorCode[]): Record<string, JsonObject> {
  const byStatus = Map.groupBy(inOrder(codes), (code) => apiErrors[code].status)
  return Object.fromEntries(
    [...byStatus].map(([status, members]) => [
      String(status),
      {
        description: members.map((code) => `\`${code}\`: ${apiErrors[code].meaning}`).join('\n\n'),
        headers: { ...requestIdHeader, ...((status === 429 || status === 503) && retryHeader) },
        content: {
          'application/json': {
            schema: {
              allOf: [
                { $ref: '#/components/schemas/Error' },
                { properties: { error: { properties: { code: { enum: members } } } } },
              ],
            },
            examples: Object.fromEntries(
              members.map((code) => [code, { $ref: `#/components/examples/${code}` }]),
            ),
          },
        },
      },
    ]),
  )
}

// The declarations' schemas carry more than JSON; our own keywords are no part of the document.
function plainJson(value: JsonObject): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject
}
