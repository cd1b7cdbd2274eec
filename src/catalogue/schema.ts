import { type Static, Type } from 'typebox'

const closed = { additionalProperties: false }
const id = Type.String({ pattern: '^[a-z0-9-]+$' })
const color = Type.String({ pattern: '^#[0-9a-f]{6}$' })
const decimalText = Type.String({ pattern: '^\\d{1,9}(\\.\\d{1,9})?$' })

const pricing = Type.Object(
  {
    baseCostMicroCents: Type.Integer({ minimum: 1, maximum: 1_000_000_000 }),
    unit: Type.Enum(['per_second', 'per_request', 'per_image']),
    factors: Type.Record(Type.String(), Type.Record(Type.String(), decimalText)),
  },
  closed,
)

/** JSON Schema, draft 2020-12, of the job's input; compiled and checked further in load.ts. */
const input = Type.Object({
  type: Type.Literal('object'),
  required: Type.Array(Type.String()),
  additionalProperties: Type.Literal(false),
  properties: Type.Record(Type.String(), Type.Object({ description: Type.String({ minLength: 10 }) })),
})

const upstreamModel = Type.String({ pattern: '^[a-z0-9][a-z0-9._/-]*$' })

/** How the model's live jobs can be made, best first. */
const routes = Type.Array(
  Type.Object(
    {
      upstream: id,
      /** What the upstream's adapter knows it as. */
      model: upstreamModel,
      /** What every job of the route has, beside its input. */
      settings: Type.Optional(Type.Record(Type.String(), Type.String())),
      /** What the upstream charges by its list, by fields of our input. */
      cost: Type.Optional(pricing),
    },
    closed,
  ),
)

const example = Type.Record(Type.String(), Type.Unknown())

/**
 * active; deprecated: still there for who names it; disabled: there, but takes no jobs; deleted: as if it had
 * never been, but for the list of versions.
 */
export const versionStatuses = ['active', 'deprecated', 'disabled', 'deleted'] as const
export type VersionStatus = (typeof versionStatuses)[number]

/**
 * The form of `catalogue/<provider>/<model>/<capability>.json`. The path is the slug; `<provider>/<model>.json`
 * is one too, and then the file names the capability.
 */
export const modelFile = Type.Object(
  {
    name: Type.String({ minLength: 1 }),
    capability: Type.Optional(Type.String()),
    description: Type.String({ minLength: 20 }),
    tags: Type.Array(Type.String({ pattern: '^[a-z0-9-]+$' }), { uniqueItems: true }),
    /** How long a job usually takes upstream, in seconds. */
    processingSeconds: Type.Integer({ minimum: 1 }),
    pricing,
    input,
    example,
    /** None: only the sandbox renders it. */
    routes: Type.Optional(routes),
    /** Why there are none. */
    unavailable: Type.Optional(Type.String({ minLength: 20 })),
    /** Oldest first. What a version does not say of its own is the model's. */
    versions: Type.Array(
      Type.Object(
        {
          version: Type.String({ pattern: '^v\\d+\\.\\d+$' }),
          status: Type.Enum([...versionStatuses]),
          pricing: Type.Optional(pricing),
          input: Type.Optional(input),
          example: Type.Optional(example),
          routes: Type.Optional(routes),
        },
        closed,
      ),
      { minItems: 1 },
    ),
    notes: Type.Optional(Type.Array(Type.String())),
  },
  closed,
)
export type ModelFile = Static<typeof modelFile>

export const providersFile = Type.Record(
  id,
  Type.Object(
    {
      name: Type.String({ minLength: 1 }),
      description: Type.String({ minLength: 20 }),
      website: Type.String({ pattern: '^https://' }),
      color,
    },
    closed,
  ),
)
export type ProvidersFile = Static<typeof providersFile>

const categories = ['video', 'image', 'audio', 'text'] as const

export const capabilitiesFile = Type.Record(
  id,
  Type.Object(
    {
      name: Type.String({ minLength: 1 }),
      /** The name where room is short. */
      label: Type.String({ minLength: 1, maxLength: 20 }),
      category: Type.Enum([...categories]),
      description: Type.String({ minLength: 20 }),
      /** The name of a picture in the sets that pages commonly use. */
      icon: Type.String({ pattern: '^[a-z]+(-[a-z]+)*$' }),
      color,
      /** Place in lists, from 1. */
      order: Type.Integer({ minimum: 1 }),
    },
    closed,
  ),
)
export type CapabilitiesFile = Static<typeof capabilitiesFile>

const category = Type.Object(
  { name: Type.String({ minLength: 1 }), description: Type.String({ minLength: 20 }) },
  closed,
)

/** Every category has its words, also one that no model is in yet. */
export const categoriesFile = Type.Object(
  { video: category, image: category, audio: category, text: category },
  closed,
)
export type CategoriesFile = Static<typeof categoriesFile>
