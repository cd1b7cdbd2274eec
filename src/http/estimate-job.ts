import { Type } from 'typebox'
import { estimateJob } from '../jobs/estimate.ts'
import { readModelNames } from './model-names.ts'
import { route } from './route.ts'
import { microCents, moment, orNull } from './schemas.ts'

const body = Type.Object(
  {
    model: Type.Optional(Type.String()),
    modelSlug: Type.Optional(Type.String({ description: 'Another name for model.' })),
    version: Type.Optional(Type.String()),
    modelVersion: Type.Optional(Type.String({ description: 'Another name for version.' })),
    input: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description: 'The input; only priced fields are needed.',
      }),
    ),
  },
  { additionalProperties: false },
)

const answer = Type.Object({
  baseCostMicroCents: Type.Integer({ minimum: 0, description: 'The list price, before your own terms.' }),
  estimatedCostMicroCents: Type.Integer({ minimum: 0, description: 'What you would pay.' }),
  breakdown: Type.Array(
    Type.Object({
      component: Type.String(),
      costMicroCents: Type.Integer({
        description:
          'What this component adds; below 0, takes off. All of them sum to the estimated cost. agreed_price is what your own terms make of the list price.',
      }),
      value: Type.Optional(Type.String()),
      multiplier: Type.Optional(Type.String()),
    }),
  ),
  hasDiscount: Type.Boolean(),
  discounted: orNull(
    Type.Object({
      type: Type.Enum(['percentage_discount', 'fixed_price', 'custom_dynamic']),
      percentage: Type.Optional(Type.Number()),
      savedMicroCents: microCents,
    }),
  ),
  quoteId: Type.Optional(
    Type.String({ description: 'Only for a complete, valid input. Good for 15 minutes.' }),
  ),
  quoteExpiresAt: Type.Optional(moment),
})

export const estimateJobRoute = route({
  method: 'POST',
  path: '/v1/jobs/estimate',
  name: 'Estimate a job',
  summary: 'Prices a job without submitting it, by the same rule that charges it.',
  scope: 'check_status',
  body,
  exampleBody: {
    model: 'kling/kling-omni-o1/image-to-video',
    input: { quality: 'std', duration: '5' },
  },
  answer,
  example: {
    baseCostMicroCents: 350_000,
    estimatedCostMicroCents: 350_000,
    breakdown: [
      { component: 'base_generation', costMicroCents: 70_000 },
      { component: 'duration', costMicroCents: 280_000, value: '5', multiplier: '5' },
      { component: 'quality', costMicroCents: 0, value: 'std', multiplier: '1' },
    ],
    hasDiscount: false,
    discounted: null,
  },
  errors: [
    'VALIDATION_ERROR',
    'INVALID_MODEL_SLUG',
    'MODEL_NOT_FOUND',
    'MODEL_ACCESS_DENIED',
    'MODEL_VERSION_NOT_FOUND',
    'MODEL_VERSION_NOT_ACTIVE',
    'INVALID_INPUT',
  ],
  async handler({ body, caller }, services) {
    const { quote, discount, ...estimate } = estimateJob(services, caller, {
      ...readModelNames(body),
      input: body.input,
    })
    return {
      ...estimate,
      hasDiscount: discount !== undefined,
      discounted: discount ?? null,
      ...(quote && { quoteId: quote.quoteId, quoteExpiresAt: quote.quoteExpiresAt.toISOString() }),
    }
  },
})
