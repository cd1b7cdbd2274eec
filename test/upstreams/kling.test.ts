import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SignJWT } from 'jose'
import { Webhook } from 'standardwebhooks'
import { until } from '../until.ts'
import { startReceiver } from '../webhook-fixture.ts'
import { type KlingServer, klingErrors } from './kling.ts'
import { klingError } from './kling-answers.ts'
import { ask, type Fields, first, makeElement, open, png, refuses, takes } from './kling-fixture.ts'

describe('a task of the new standard', () => {
  test('is submitted, then succeeded with a film that can be fetched and a bill', async () => {
    const server = await open()
    const options = { external_task_id: 'job-1' }
    const submit = await ask(server, 'POST', '/text-to-video/kling-3.0', {
      prompt: 'a pier',
      settings: { duration: 7 },
      options,
    })
    assert.equal(submit.data.status, 'submitted')
    assert.equal(submit.data.external_id, 'job-1')
    const { data } = await ask(server, 'GET', '/tasks?external_task_ids=job-1')
    assert.deepEqual(
      [data.length, data[0].id, data[0].status, data[0].message],
      [1, submit.data.id, 'succeeded', ''],
    )
    assert.deepEqual([data[0].outputs[0].type, data[0].outputs[0].duration], ['video', '7'])
    assert.equal(data[0].billing[0].package_type, 'video')
    const film = await fetch(data[0].outputs[0].url)
    assert.equal(film.headers.get('content-type'), 'video/mp4')
    assert.equal(Buffer.from(await film.arrayBuffer()).toString('latin1', 4, 8), 'ftyp')
  })

  test('is processing until its time is over, and fails with its reason', async () => {
    let now = new Date('2026-11-21T08:00:00Z')
    const server = await open({
      clock: { now: () => now },
      behave: () => ({ takesMs: 60_000, fail: 'not a pier' }),
    })
    const { data } = await ask(server, 'POST', '/text-to-video/kling-2.6', { prompt: 'a pier' })
    const look = async () => (await ask(server, 'GET', `/tasks?task_ids=${data.id}`)).data[0]
    assert.equal((await look()).status, 'processing')
    now = new Date(now.getTime() + 60_000)
    const { status, message, outputs, billing } = await look()
    assert.deepEqual(
      { status, message, outputs, billing },
      { status: 'failed', message: 'not a pier', outputs: [], billing: [] },
    )
  })

  test('is found by at most 20 ids of one kind, and an unknown one is left out', async () => {
    const server = await open()
    const twenty = Array.from({ length: 20 }, (_, index) => `none-${index}`).join(',')
    assert.deepEqual((await ask(server, 'GET', `/tasks?task_ids=${twenty}`)).data, [])
    for (const query of [
      '',
      `?task_ids=${twenty},one`,
      '?task_ids=a&external_task_ids=b',
      '?task_ids=',
      '?ids=a',
    ]) {
      const { status, code } = await ask(server, 'GET', `/tasks${query}`)
      assert.deepEqual([status, code], [400, 1201], query)
    }
  })

  test('is listed newest first, page after page', async () => {
    const server = await open()
    for (const words of ['one', 'two', 'three'])
      await ask(server, 'POST', '/text-to-video/kling-3.0-turbo', { prompt: words })
    const ids = [...server.tasks.keys()].reverse()
    const filters = [{ key: 'status', values: ['succeeded'] }]
    const page = await ask(server, 'POST', '/tasks', { limit: 2, filters, start_time: '0' })
    assert.deepEqual(
      [page.data.result.map(({ id }: { id: string }) => id), page.data.has_more],
      [ids.slice(0, 2), true],
    )
    const rest = await ask(server, 'POST', '/tasks', { limit: 2, filters, cursor: page.data.next_cursor })
    assert.deepEqual([rest.data.result[0].id, rest.data.count, rest.data.has_more], [ids[2], 1, false])
    assert.equal(
      (await ask(server, 'POST', '/tasks', { filters: [{ key: 'product_type', values: ['image'] }] })).data
        .count,
      0,
    )
    await refuses(server, '/tasks', [
      { limit: 501 },
      { limit: '2' },
      { filters: [{ key: 'model', values: ['x'] }] },
      { page: 1 },
    ])
  })
})

describe('a task of the legacy standard', () => {
  test('says succeed, and is found by either id at the path that made it', async () => {
    const server = await open()
    const path = '/v1/videos/text2video'
    const submit = await ask(server, 'POST', path, {
      model_name: 'kling-v3',
      prompt: 'a pier',
      external_task_id: 'job-1',
    })
    assert.deepEqual(
      [submit.data.task_status, submit.data.task_info.external_task_id],
      ['submitted', 'job-1'],
    )
    const id = submit.data.task_id
    for (const name of [id, 'job-1']) {
      const { data } = await ask(server, 'GET', `${path}/${name}`)
      assert.deepEqual([data.task_id, data.task_status, data.task_result.videos.length], [id, 'succeed', 1])
      assert.equal(data.final_balance_deduction.quota, '0.70')
    }
    for (const elsewhere of [`${path}/none`, `/v1/videos/image2video/${id}`]) {
      const { status, code, message } = await ask(server, 'GET', elsewhere)
      assert.deepEqual(
        [status, code, message.startsWith('Task not found by id/external id')],
        [400, 1201, true],
      )
    }
    assert.deepEqual((await ask(server, 'GET', `/tasks?task_ids=${id}`)).data, [])
  })

  test('is listed by pages', async () => {
    const server = await open()
    const path = '/v1/images/generations'
    for (const words of ['one', 'two', 'three']) await ask(server, 'POST', path, { prompt: words })
    const ids = [...server.tasks.keys()].reverse()
    const page = await ask(server, 'GET', `${path}?pageNum=2&pageSize=2`)
    assert.deepEqual(
      page.data.map((task: { task_id: string }) => task.task_id),
      [ids[2]],
    )
    for (const query of ['pageSize=501', 'pageNum=0', 'page=1']) {
      assert.equal((await ask(server, 'GET', `${path}?${query}`)).code, 1201)
    }
  })

  test('brings as many pictures as were ordered, alone or as a series', async () => {
    const server = await open()
    const path = '/v1/images/omni-image'
    const single = await ask(server, 'POST', path, { prompt: 'a pier', n: 3 })
    const series = await ask(server, 'POST', path, {
      prompt: 'a pier',
      result_type: 'series',
      series_amount: 5,
      n: 2,
    })
    const results = async (id: string) => (await ask(server, 'GET', `${path}/${id}`)).data.task_result
    assert.equal((await results(single.data.task_id)).images.length, 3)
    const { result_type, series_images: images } = await results(series.data.task_id)
    assert.deepEqual([result_type, images.length], ['series', 5])
    assert.equal((await fetch(images[0].url)).headers.get('content-type'), 'image/png')
  })

  test('with the old name of the model key gets the default, which is switched off', async () => {
    const server = await open()
    const path = '/v1/videos/text2video'
    const old = await ask(server, 'POST', path, { model: 'kling-v3', prompt: 'a pier' })
    assert.deepEqual([old.status, old.code], [404, 1203])
    const serving = await open({ switchedOff: ['kling-2.6'] })
    await takes(serving, path, [{ model: 'kling-v3', prompt: 'a pier' }])
    assert.equal([...serving.tasks.values()][0]!.order.model, 'kling-v1')
    assert.equal((await ask(serving, 'POST', '/text-to-video/kling-2.6', { prompt: 'a pier' })).code, 1203)
  })

  test('extends a video of an old model, and names the video it began with', async () => {
    const server = await open()
    const made = await ask(server, 'POST', '/v1/videos/text2video', {
      model_name: 'kling-v1-6',
      prompt: 'a pier',
    })
    const young = await ask(server, 'POST', '/v1/videos/text2video', {
      model_name: 'kling-v3',
      prompt: 'a pier',
    })
    const video = async (id: string) =>
      (await ask(server, 'GET', `/v1/videos/text2video/${id}`)).data.task_result.videos[0]
    const parent = await video(made.data.task_id)
    const path = '/v1/videos/video-extend'
    const more = await ask(server, 'POST', path, { video_id: parent.id, cfg_scale: 0.3 })
    const { data } = await ask(server, 'GET', `${path}/${more.data.task_id}`)
    assert.equal(data.task_info.parent_video.id, parent.id)
    await takes(server, path, [{ video_id: data.task_result.videos[0].id }])
    await refuses(server, path, [
      {},
      { video_id: 'none' },
      { video_id: (await video(young.data.task_id)).id },
    ])
  })
})

describe('ids of elements', () => {
  test('are bare numbers past 2^53, and only the exact digits name an element', async () => {
    const server = await open()
    const digits = await makeElement(server)
    const other = await makeElement(server)
    assert.notEqual(digits, other)
    assert.equal(Number(digits), Number(other))
    const body = (id: string) =>
      `{"prompt":"<<<element_1>>>","aspect_ratio":"1:1","element_list":[{"element_id":${id}}]}`
    await takes(server, '/v1/videos/omni-video', [body(digits)])
    assert.match(
      String(
        (server.tasks.get([...server.tasks.keys()].at(-1)!)!.body as { element_list: Fields[] })
          .element_list[0]!.element_id,
      ),
      new RegExp(`^${digits}$`),
    )
    await refuses(server, '/v1/videos/omni-video', [
      body(JSON.stringify(Number(digits))),
      body(`"${digits}"`),
    ])
    const named = (id: unknown) => ({ contents: [first, { type: 'element', element_id: id, id: 'Zhang' }] })
    await takes(server, '/image-to-video/kling-3.0', [named(digits)])
    await refuses(server, '/image-to-video/kling-3.0', [named(String(Number(digits))), named(Number(digits))])
  })

  test('are gone once deleted', async () => {
    const server = await open()
    const digits = await makeElement(server)
    const path = '/v1/general/delete-advanced-elements'
    await refuses(server, path, [{ element_id: '1' }, {}, { id: digits }])
    assert.equal((await ask(server, 'POST', path, { element_id: digits })).code, 0)
    const { data } = await ask(server, 'GET', '/v1/general/advanced-custom-elements')
    assert.deepEqual(data[0].task_result.elements, [])
    await refuses(server, '/image-to-video/kling-3.0', [
      { contents: [first, { type: 'element', element_id: digits, id: 'Zhang' }] },
    ])
    await refuses(server, '/v1/general/advanced-custom-elements', [
      {
        element_name: 'x'.repeat(21),
        element_description: 'd',
        reference_type: 'image_refer',
        element_image_list: { frontal_image: png, refer_images: [{ image_url: png }] },
      },
      { element_name: 'x', element_description: 'd', reference_type: 'image_refer' },
      {
        element_name: 'x',
        element_description: 'd',
        reference_type: 'image_refer',
        element_image_list: { frontal_image: png, refer_images: [] },
      },
    ])
  })
})

describe('who asks', () => {
  async function token(
    server: KlingServer,
    claims: Fields,
    secret = server.secretKey,
    alg = 'HS256',
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000)
    return await new SignJWT({ iss: server.accessKey, exp: now + 1800, nbf: now - 5, ...claims })
      .setProtectedHeader({ alg, typ: 'JWT' })
      .sign(new TextEncoder().encode(secret))
  }

  test('signs with the two keys on legacy paths only', async () => {
    const server = await open()
    const good = await token(server, {})
    assert.equal((await ask(server, 'GET', '/v1/videos/text2video', undefined, good)).code, 0)
    const fresh = await ask(server, 'POST', '/text-to-video/kling-3.0', { prompt: 'a pier' }, good)
    assert.deepEqual([fresh.status, fresh.code, server.tasks.size], [401, 1002, 0])
    assert.equal((await ask(server, 'GET', '/tasks?task_ids=a', undefined, good)).code, 1002)
  })

  test('is told what is wrong with a token', async () => {
    const server = await open()
    const now = Math.floor(Date.now() / 1000)
    const tokens: [string, number][] = [
      ['another-key', 1000],
      [await token(server, {}, 'another-secret-of-the-same-length'), 1000],
      [await token(server, { iss: 'somebody' }), 1002],
      [await token(server, { exp: undefined }), 1002],
      [await token(server, { nbf: undefined }), 1002],
      [await token(server, {}, server.secretKey, 'HS512'), 1002],
      [await token(server, { nbf: now + 600 }), 1003],
      [await token(server, { exp: now - 600 }), 1004],
      ['two words', 1002],
    ]
    for (const [given, wanted] of tokens) {
      const { status, code } = await ask(server, 'GET', '/v1/videos/text2video', undefined, given)
      assert.deepEqual([status, code], [401, wanted], given)
    }
    assert.equal((await (await fetch(`${server.url}/tasks?task_ids=a`)).json()).code, 1001)
  })
})

describe('what goes wrong', () => {
  test('every error of the table is told for a submit, with nothing created, and for a question', async () => {
    let code = 0
    const server = await open({ behave: () => ({ refuse: { code } }) })
    for (const [key, { status }] of Object.entries(klingErrors)) {
      code = Number(key)
      const refused = await ask(server, 'POST', '/text-to-video/kling-3.0', { prompt: 'a pier' })
      server.interrupt(/^GET \/tasks/, klingError(code))
      const asked = await ask(server, 'GET', '/tasks?task_ids=a')
      for (const told of [refused, asked]) assert.deepEqual([told.status, told.code], [status, code])
    }
    assert.equal(server.tasks.size, 0)
    assert.equal((await ask(server, 'GET', '/tasks?task_ids=a')).code, 0)
  })

  test('an answer that is lost may have created a task or not', async () => {
    const server = await open({
      behave: ({ body }) => {
        const { prompt: words } = body as { prompt: string }
        return words === 'crash' ? { crash: { code: 5002 } } : { lose: words as 'before' | 'after' }
      },
    })
    const submit = (words: string) =>
      ask(server, 'POST', '/text-to-video/kling-3.0', { prompt: words, options: { external_task_id: words } })
    await assert.rejects(submit('before'))
    await assert.rejects(submit('after'))
    assert.equal((await submit('crash')).status, 504)
    const { data } = await ask(server, 'GET', '/tasks?external_task_ids=before,after,crash')
    assert.deepEqual(data.map((task: { external_id: string }) => task.external_id).sort(), ['after', 'crash'])
    assert.deepEqual(
      server.transcript.map(({ status }) => status),
      [0, 0, 504, 200],
    )
  })

  test('an external id is taken once, by whichever standard', async () => {
    const server = await open()
    await takes(server, '/text-to-video/kling-3.0', [
      { prompt: 'a pier', options: { external_task_id: 'one' } },
    ])
    await refuses(server, '/text-to-video/kling-3.0', [
      { prompt: 'a pier', options: { external_task_id: 'one' } },
    ])
    const again = await ask(server, 'POST', '/v1/images/generations', {
      prompt: 'a pier',
      external_task_id: 'one',
    })
    assert.deepEqual(
      [again.status, again.code, again.message],
      [400, 1201, 'External_task_id one already exists'],
    )
  })

  test('a pack has so many places for each model, held to the end', async () => {
    let now = new Date('2026-11-21T08:00:00Z')
    const clock = { now: () => now }
    const server = await open({ clock, places: { video: 1, image: 3 }, behave: () => ({ takesMs: 1000 }) })
    const film = () => ask(server, 'POST', '/text-to-video/kling-3.0', { prompt: 'a pier' })
    const pictures = (n: number) => ask(server, 'POST', '/v1/images/generations', { prompt: 'a pier', n })
    assert.equal((await film()).code, 0)
    const second = await film()
    assert.deepEqual([second.status, second.code, server.tasks.size], [429, 1303, 1])
    await takes(server, '/text-to-video/kling-2.6', [{ prompt: 'a pier' }])
    assert.deepEqual(
      [(await pictures(2)).code, (await pictures(2)).code, (await pictures(1)).code],
      [0, 1303, 0],
    )
    now = new Date(now.getTime() + 1000)
    assert.equal((await film()).code, 0)
  })

  test('a path or a method that is not served is refused in its own shape', async () => {
    const server = await open()
    const lost = JSON.parse((await ask(server, 'GET', '/v2/videos')).text)
    assert.deepEqual(Object.keys(lost), ['timestamp', 'status', 'error', 'message', 'path'])
    const method = await ask(server, 'DELETE', '/tasks')
    assert.deepEqual([method.status, method.code], [404, 1202])
    assert.equal((await ask(server, 'POST', '/text-to-video/kling-9', { prompt: 'a pier' })).code, 1203)
    assert.equal((await ask(server, 'POST', '/text-to-video/kling-3.0', '{')).code, 1200)
  })

  test('costs are told once a second, in an envelope of their own', async () => {
    let now = new Date('2026-11-21T08:00:00Z')
    const server = await open({ clock: { now: () => now } })
    const costs = () => ask(server, 'GET', '/account/costs?start_time=0&end_time=1')
    assert.equal((await costs()).data.code, 0)
    assert.deepEqual([(await costs()).status, (await costs()).code], [429, 1302])
    now = new Date(now.getTime() + 1000)
    assert.equal((await costs()).code, 0)
  })
})

describe('callbacks', () => {
  const secret = 'whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI='

  test('are signed as in the example that the vendor published', () => {
    const body =
      '{"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,"update_time":1781080794151}'
    const signature = new Webhook(secret).sign('9876543210', new Date(1781080794 * 1000), body)
    assert.equal(signature, 'v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4=')
  })

  test('tell every change of a task bare, each standard in its own words', async () => {
    const receiver = await startReceiver()
    const server = await open({ webhookSecret: secret })
    await ask(server, 'POST', '/text-to-video/kling-3.0', {
      prompt: 'a pier',
      options: { callback_url: `${receiver.url}/new` },
    })
    await ask(server, 'POST', '/v1/images/generations', {
      prompt: 'a pier',
      callback_url: `${receiver.url}/legacy`,
    })
    await until(() => server.callbacks.length === 4)
    const told = (path: string) => {
      const all = receiver.received.filter((one) => one.path === path)
      for (const { body, headers } of all) new Webhook(secret).verify(body, headers as Record<string, string>)
      return all.map(({ body }) => JSON.parse(body))
    }
    assert.deepEqual(
      told('/new').map(({ status }) => status),
      ['processing', 'succeeded'],
    )
    assert.deepEqual(
      told('/legacy').map((task) => task.task_status),
      ['processing', 'succeed'],
    )
    assert.equal(told('/new')[1].code, undefined)
    assert.equal(told('/legacy')[1].task_result.images.length, 1)
  })

  test('carry a signature by each secret, and none where they are not signed', async () => {
    const receiver = await startReceiver()
    const other = 'whsec_b3RoZXJzZWNyZXRvdGhlcnNlY3JldG90aGVyc2VjcmV0'
    const server = await open({ webhookSecret: [secret, other], signsLegacyCallbacks: false })
    const callback_url = receiver.url
    await ask(server, 'POST', '/text-to-video/kling-3.0', { prompt: 'a pier', options: { callback_url } })
    await ask(server, 'POST', '/v1/images/generations', { prompt: 'a pier', callback_url })
    await until(() => server.callbacks.length === 4)
    for (const { headers, body } of receiver.received) {
      const isNew = JSON.parse(body).id !== undefined
      assert.equal(headers['webhook-signature']?.toString().split(' ').length, isNew ? 2 : undefined)
    }
  })
})
