import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shortenLinks } from './shorten-links.ts'

test('links lose what signs them, wherever they stand, and everything else stays', () => {
  const input = {
    image_url: 'https://films.example.com/files/a.png?expires=1&signature=abc',
    list: ['http://u:p@host/x#token=1', 'a lake', 7, null, true],
    cause: 'could not fetch https://s3.example.com/b/k?X-Amz-Signature=abc: 403',
    callback: 'https://films.example.com/callbacks/kling/c2VjcmV0',
    plain: 'https://example.com/image.jpg',
    file: `data:image/png;base64,${'A'.repeat(5_000)}`,
  }
  assert.deepEqual(shortenLinks(input), {
    image_url: 'https://films.example.com/files/a.png?…',
    list: ['http://…@host/x?…', 'a lake', 7, null, true],
    cause: 'could not fetch https://s3.example.com/b/k?… 403',
    callback: 'https://films.example.com/callbacks/kling/…',
    plain: 'https://example.com/image.jpg',
    file: `data:image/png;base64,${'A'.repeat(18)}… (5022 characters)`,
  })
})
