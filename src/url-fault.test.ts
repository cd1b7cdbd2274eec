import assert from 'node:assert/strict'
import { test } from 'node:test'
import { urlFault } from './url-fault.ts'

test('http and https URLs are taken as they stand', () => {
  for (const url of [
    'https://example.com',
    'http://example.com:8080/a.png?x=y@z#@',
    'HTTPS://EXAMPLE.COM/a.png',
    'https://[2001:db8::1]/a.png',
    'https://bücher.example/ä.png',
    'https://example.com/%20(1)/a+b.png',
    `https://example.com/${'a'.repeat(2028)}`,
  ]) {
    assert.equal(urlFault(url), undefined, url.slice(0, 60))
  }
})

for (const [reason, urls] of [
  [
    /upload it: POST \/v1\/uploads\/presign/,
    [
      'data:image/png;base64,iVBORw0KGgo=',
      ' DATA:image/png,x',
      `data:image/png;base64,${'A'.repeat(1_000_000)}`,
      `${'iVBORw0KGgoAAAANSUhEUgAA'.repeat(10)}==`,
      `/9j/${'4AAQSkZJRgABAQAAAQAB/+'.repeat(100_000)}`,
      `${'-_Aa'.repeat(20)}`,
      `${'QUJD'.repeat(19)}\n${'QUJD'.repeat(19)}\n`,
    ],
  ],
  [
    /user name or password/,
    ['https://user:secret@example.com/a.png', 'https://user@example.com', 'https://:@example.com/'],
  ],
  [
    /^must be an http or https URL$/,
    [
      'ftp://example.com/a.png',
      'file:///etc/passwd',
      'blob:https://example.com/1',
      'javascript:alert(1)',
      's3://bucket/a.png',
      'gs://b/a.png',
      'example.com:80/a.png',
    ],
  ],
  [
    /must be an http or https URL/,
    [
      '',
      'a.png',
      '/a.png',
      '//example.com/a.png',
      'example.com/a.png',
      'https:/example.com',
      'https:example.com',
      'https://',
      'https:///a.png',
      'https://?x',
      'https://example.com:99999/',
      'https://exa%mple.com/',
    ],
  ],
  [
    /without spaces/,
    [
      ' https://example.com/a.png',
      'https://example.com/a b.png',
      'https://example.com/a\n.png',
      'https://example.com/\u0000',
      'https:\\\\example.com',
      'https://example.com\\@evil.example/',
    ],
  ],
  [
    /longer than 2048/,
    [`https://example.com/${'a'.repeat(2029)}`, `https://example.com/?${'a.'.repeat(5000)}`],
  ],
] as const) {
  test(`what is no URL to fetch is refused with ${reason}`, () => {
    for (const url of urls) assert.match(urlFault(url) ?? '', reason, url.slice(0, 60))
  })
}
