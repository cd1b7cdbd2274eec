import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { type CustomerFiles, withCustomerFiles } from '../../../test/customer-files.ts'
import { startKling } from '../../../test/upstreams/kling.ts'
import type { InputMedia, Json, SubmitOutcome } from '../provider.ts'
import { contextOf, inWords, requestOf } from './fixture.ts'
import { kling } from './kling.ts'

const apiKey = 'key'
const url = 'https://customer.example.com/file'

/** Runs with a server, and gives what a submit comes to and whether anything was sent. */
async function withServer(
  run: (
    submit: (
      model: string,
      input: Record<string, Json>,
      media: Record<string, InputMedia[]>,
    ) => Promise<SubmitOutcome>,
    files: CustomerFiles,
    server: Awaited<ReturnType<typeof startKling>>,
  ) => Promise<void>,
): Promise<void> {
  const server = await startKling({ apiKey })
  const provider = kling.open({ baseUrl: server.url, apiKey })
  try {
    await withCustomerFiles((files) =>
      run(
        (model, input, media) => provider.submit(requestOf(model, input, { media }), contextOf()),
        files,
        server,
      ),
    )
  } finally {
    await server.stop()
  }
}

const i2v = 'image-to-video/kling-3.0'
const motion = 'motion-control/kling-3.0'

test('a file that Kling would refuse is refused before anything is sent, by the name of its field', async () => {
  await withServer(async (submit, files, server) => {
    const picture = await files.picture()
    const film = await files.film()
    const small = { ...picture, width: 299 }
    const cases: [RegExp, string, Record<string, Json>, Record<string, InputMedia[]>][] = [
      [/^image_url: .*300 pixels/, i2v, { image_url: url }, { image_url: [small] }],
      [/^image_url: .*2\.5 times/, i2v, { image_url: url }, { image_url: [{ ...picture, width: 1000 }] }],
      [
        /^end_image_url: /,
        i2v,
        { image_url: url, end_image_url: url },
        { image_url: [picture], end_image_url: [small] },
      ],
      [
        /^images\[1\]: /,
        'omni-video/kling-o1',
        { prompt: 'On', images: [url, url] },
        { images: [picture, small] },
      ],
      [
        /^video: .*3 to 10 seconds/,
        motion,
        { image: url, video: url, character_orientation: 'image' },
        { image: [picture], video: [{ ...film, durationSeconds: 12 }] },
      ],
      [
        /^video: .*MP4 or MOV/,
        motion,
        { image: url, video: url },
        { image: [picture], video: [{ ...film, contentType: 'video/webm' }] },
      ],
      [
        /^video: .*340 to 3850/,
        motion,
        { image: url, video: url },
        { image: [picture], video: [{ ...film, height: 320 }] },
      ],
      [
        /^motion_video_url: .*ordered, 5 seconds/,
        motion,
        { image_url: url, motion_video_url: url, duration: '5' },
        { image_url: [picture], motion_video_url: [{ ...film, durationSeconds: 5.6 }] },
      ],
      [
        /^video_url: .*700 to 4553/,
        'omni-video/kling-3.0-omni',
        { prompt: 'On', video_url: url },
        { video_url: [{ ...film, height: 640 }] },
      ],
      [
        /^video_url: .*at most 8294400/,
        'omni-video/kling-3.0-omni',
        { prompt: 'On', video_url: url },
        { video_url: [{ ...film, width: 4000, height: 2160 }] },
      ],
    ]
    for (const [wanted, model, input, media] of cases) {
      const outcome = await submit(model, input, media)
      assert.equal(inWords(outcome), 'refused INPUT_MEDIA_INVALID elsewhere', String(wanted))
      assert.match(outcome.outcome === 'refused' ? outcome.message : '', wanted)
    }
    assert.equal(server.transcript.length, 0)
  })
})

test('a picture of the shape that was asked for is taken, as is any where nothing but the default was; no other, anywhere', async () => {
  await withServer(async (submit, files) => {
    const landscape = { image_url: [await files.picture()] }
    const outcome = await submit(i2v, { image_url: url, aspect_ratio: '9:16' }, landscape)
    assert.equal(inWords(outcome), 'refused INPUT_MEDIA_INVALID')
    const portrait = await files.picture({ width: 360, height: 640 })
    for (const aspect_ratio of ['9:16', '16:9']) {
      const outcome = await submit(i2v, { image_url: url, aspect_ratio }, { image_url: [portrait] })
      assert.equal(outcome.outcome, 'accepted')
    }
  })
})

test('where this server can not be reached, a picture goes as its bytes and a film by the customer’s own URL', async () => {
  await withServer(async (submit, files, server) => {
    const picture = await files.picture()
    const film = await files.film()
    const outcome = await submit(motion, { image: url, video: url }, { image: [picture], video: [film] })
    assert.equal(outcome.outcome, 'accepted')
    const { contents } = server.transcript[0]!.body as { contents: { type: string; url: string }[] }
    const said = (type: string) => contents.find((part) => part.type === type)?.url
    assert.equal(said('image'), (await readFile(picture.path)).toString('base64'))
    assert.equal(said('video'), film.sourceUrl)
  })
})

test('a film that Kling could fetch from nowhere is refused here', async () => {
  await withServer(async (submit, files, server) => {
    const { sourceUrl: _, ...film } = await files.film()
    const outcome = await submit(
      motion,
      { image: url, video: url },
      { image: [await files.picture()], video: [film] },
    )
    assert.equal(inWords(outcome), 'refused INPUT_MEDIA_UNREACHABLE elsewhere')
    assert.equal(server.transcript.length, 0)
  })
})

test('a file that could not be made ready has sent nothing', async () => {
  await withServer(async (_submit, files, server) => {
    const provider = kling.open({ baseUrl: server.url, apiKey })
    const request = requestOf(i2v, { image_url: url }, { media: { image_url: [await files.picture()] } })
    const cause = new Error('the storage is away')
    const outcome = await provider.submit(request, contextOf({ publish: () => Promise.reject(cause) }))
    assert.deepEqual(outcome, { outcome: 'unavailable', cause })
    assert.equal(server.transcript.length, 0)
  })
})
