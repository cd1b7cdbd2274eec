import type { JsonSchema } from '../json-schema.ts'

/** JSON Schema of what `outputs` of a completed job holds, by the category of its model. */
export function outputSchema(category: string): JsonSchema {
  const hasPicture = category === 'video' || category === 'image'
  const preview = hasPicture ? { type: 'string', format: 'uri' } : { type: 'null' }
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'array',
    minItems: 1,
    items: {
      type: 'object',
      required: ['url', 'type', 'thumbnail', 'posterImage'],
      properties: {
        url: { type: 'string', format: 'uri', description: 'The file; the link is good for 7 days.' },
        type: { const: category },
        thumbnail: { ...preview, description: 'A small JPEG of it.' },
        posterImage: { ...preview, description: 'A JPEG of it in full size.' },
      },
    },
  }
}
