import { Type } from 'typebox'
import { type JsonSchema, storablePattern } from '../json-schema.ts'

export const jobStatus = Type.Enum(['pending', 'processing', 'completed', 'failed', 'cancelled'], {
  description:
    'pending → processing → completed or failed; a pending job can be cancelled, and a processing one where its provider can stop it.',
})

export const progress = Type.Enum([0, 50, 100], {
  description: '0 while pending and when failed or cancelled, 50 while processing, 100 when completed.',
})

export const microCents = Type.Integer({
  description: 'An amount of money: 1,000,000 are US $1.00.',
  minimum: 0,
})

export const moment = Type.String({ description: 'ISO 8601, UTC.' })

export const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()])

// Type.Record says nothing of the length of names, and lets a name with a line break have any value.
export const metadata = Type.Unsafe<Record<string, string>>({
  type: 'object',
  description: 'At most 16 short strings of your own, given back by get, list, events and webhook.',
  maxProperties: 16,
  propertyNames: { type: 'string', minLength: 1, maxLength: 40, pattern: storablePattern },
  additionalProperties: { type: 'string', maxLength: 500, pattern: storablePattern },
})

/** Of an operation that takes no query parameters. */
export const noQuery = Type.Object({}, { additionalProperties: false })

export const jsonSchema = (description: string) =>
  Type.Unsafe<JsonSchema>({
    type: 'object',
    additionalProperties: true,
    description: `JSON Schema, draft 2020-12. ${description}`,
  })

export const jobIdParams = Type.Object({
  jobId: Type.String({ pattern: storablePattern, description: 'The id that the submit answered.' }),
})

/** What became of one attempt to deliver a webhook. */
export const attemptFields = {
  delivered: Type.Boolean({ description: 'The receiver answered with 2xx.' }),
  httpStatus: orNull(Type.Integer({ description: 'What the receiver answered; null if it did not.' })),
  latencyMs: Type.Integer({ description: 'Until the status was there, or the attempt was given up.' }),
  error: orNull(Type.String({ description: 'Why it does not count as delivered.' })),
  response: orNull(Type.String({ description: "The first 1 KB of the receiver's answer." })),
}
