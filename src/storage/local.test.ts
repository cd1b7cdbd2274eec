import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { createLocalStorage } from './local.ts'

async function newStorage(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), 'filmgate-storage-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return { directory, storage: await createLocalStorage({ directory }) }
}

test('what was put is read back, whole and by range, with its size and hash', async (t) => {
  const { storage, directory } = await newStorage(t)
  const content = Buffer.from('0123456789')
  const sha256 = createHash('sha256').update(content).digest('hex')
  assert.deepEqual(await storage.put('outputs/job_1/0.mp4', Readable.from([content])), { bytes: 10, sha256 })
  const whole = await storage.open('outputs/job_1/0.mp4')
  assert.equal(whole?.bytes, 10)
  assert.deepEqual(await buffer(whole.stream), content)
  const part = await storage.open('outputs/job_1/0.mp4', { start: 2, end: 4 })
  assert.deepEqual([part?.bytes, part?.totalBytes, await text(part!.stream)], [3, 10, '234'])
  const tail = await storage.open('outputs/job_1/0.mp4', { start: 7, end: 99 })
  assert.deepEqual([tail?.bytes, await text(tail!.stream)], [3, '789'])
  const outside = await storage.open('outputs/job_1/0.mp4', { start: 10 })
  assert.deepEqual([outside?.bytes, await text(outside!.stream)], [0, ''])
  assert.equal((await storage.stat('outputs/job_1/0.mp4'))?.bytes, 10)
  const file = join(directory, 'source.bin')
  await writeFile(file, content)
  assert.deepEqual(await storage.put('copy', { file }), { bytes: 10, sha256 })
  assert.equal(await storage.withLocalFile('copy', (path) => readFile(path, 'utf8')), '0123456789')
})

test('a put that breaks off or is too large leaves the old object whole and nothing behind', async (t) => {
  const { storage, directory } = await newStorage(t)
  await storage.put('a', Readable.from([Buffer.from('old')]))
  const breaking = Readable.from(
    (async function* () {
      yield Buffer.from('half')
      assert.equal(await storage.withLocalFile('a', (path) => readFile(path, 'utf8')), 'old')
      throw new Error('connection lost')
    })(),
  )
  await assert.rejects(storage.put('a', breaking), /connection lost/)
  const endless = Readable.from(
    (async function* () {
      for (;;) yield Buffer.alloc(1000)
    })(),
  )
  await assert.rejects(storage.put('a', endless, { maxBytes: 5000 }), { code: 'TOO_LARGE' })
  assert.equal(endless.destroyed, true)
  await assert.rejects(storage.put('b', { file: join(directory, 'absent') }), { code: 'ENOENT' })
  assert.equal(await storage.withLocalFile('a', (path) => readFile(path, 'utf8')), 'old')
  assert.equal(await storage.stat('b'), undefined)
  assert.deepEqual(await readdir(join(directory, '.parts')), [])
})

test('a source that fails before its first byte is asked for fails the put and nothing else', async (t) => {
  const { storage, directory } = await newStorage(t)
  const early = new Readable({ read() {} })
  const put = storage.put('a', early)
  early.destroy(new Error('reset'))
  await assert.rejects(put, /reset/)
  assert.equal(await storage.stat('a'), undefined)
  assert.deepEqual(await readdir(join(directory, '.parts')), [])
})

test('of many puts of one key one wins, whole', async (t) => {
  const { storage } = await newStorage(t)
  const contents = Array.from({ length: 20 }, (_, index) => String(index % 10).repeat(50_000))
  await Promise.all(contents.map((content) => storage.put('dir/same', Readable.from([Buffer.from(content)]))))
  const stored = await storage.withLocalFile('dir/same', (path) => readFile(path, 'utf8'))
  assert.ok(contents.includes(stored))
})

test('a folder goes with the last object in it, and no put beside it is lost', async (t) => {
  const { storage, directory } = await newStorage(t)
  await storage.put('a/b/c/kept', Readable.from([Buffer.from('kept')]))
  await Promise.all(
    Array.from({ length: 50 }, async (_, index) => {
      const key = `a/b/d/${index}`
      await storage.put(key, Readable.from([Buffer.from('short')]))
      await storage.remove(key)
    }),
  )
  assert.deepEqual(await readdir(join(directory, 'a/b')), ['c'])
  await storage.remove('a/b/c/kept')
  assert.deepEqual(await readdir(directory), ['.parts'])
})

test('a full disk has its own code', async (t) => {
  const { storage } = await newStorage(t)
  const full = new Readable({
    read() {
      this.destroy(Object.assign(new Error('write'), { code: 'ENOSPC' }))
    },
  })
  await assert.rejects(storage.put('a', full), { code: 'NO_SPACE' })
})

test('no key leads out of the directory or to its inner files', async (t) => {
  const { storage } = await newStorage(t)
  const keys = [
    '',
    '.',
    '..',
    '../x',
    'a/../../x',
    'a/..',
    '/etc/passwd',
    'a//b',
    'a/',
    '.parts/x',
    'a/.b',
    'A',
    'ä',
  ]
  for (const key of [...keys, 'a\\b', 'a\0', 'a b', '%2e%2e/x', 'x'.repeat(513)]) {
    await assert.rejects(storage.put(key, Readable.from([])), { code: 'INVALID_KEY' }, key)
    await assert.rejects(storage.open(key), { code: 'INVALID_KEY' }, key)
    await assert.rejects(storage.remove(key), { code: 'INVALID_KEY' }, key)
  }
  await assert.rejects(storage.list('../')[Symbol.asyncIterator]().next(), { code: 'INVALID_KEY' })
})

test('absent objects are undefined, and a folder is no object', async (t) => {
  const { storage } = await newStorage(t)
  await storage.put('dir/x', Readable.from([Buffer.from('x')]))
  for (const key of ['nothing', 'dir', 'dir/x/y']) {
    assert.equal(await storage.open(key), undefined, key)
    assert.equal(await storage.stat(key), undefined, key)
  }
  await assert.rejects(
    storage.withLocalFile('nothing', async () => {}),
    { code: 'NOT_FOUND' },
  )
  await storage.remove('dir/x')
  await storage.remove('dir/x')
  assert.equal(await storage.stat('dir/x'), undefined)
})

test('list gives the keys under a prefix, and no parts', async (t) => {
  const { storage, directory } = await newStorage(t)
  for (const key of ['outputs/a/0.mp4', 'outputs/a/0.jpg', 'outputs/ab', 'uploads/z']) {
    await storage.put(key, Readable.from([Buffer.from(key)]))
  }
  await writeFile(join(directory, '.parts', 'fresh'), '')
  const listed = async (prefix: string) => (await Readable.from(storage.list(prefix)).toArray()).sort()
  assert.deepEqual(await listed('outputs/a/'), ['outputs/a/0.jpg', 'outputs/a/0.mp4'])
  assert.deepEqual(await listed('outputs/a'), ['outputs/a/0.jpg', 'outputs/a/0.mp4', 'outputs/ab'])
  assert.equal((await listed('')).length, 4)
  assert.deepEqual(await listed('absent/'), [])
})

test('a start clears away old parts and leaves the fresh ones of another process', async (t) => {
  const { directory } = await newStorage(t)
  const [old, fresh] = ['old', 'fresh'].map((name) => join(directory, '.parts', name))
  await writeFile(old!, '')
  await utimes(old!, new Date(0), new Date(0))
  await writeFile(fresh!, '')
  await createLocalStorage({ directory })
  assert.deepEqual(await readdir(join(directory, '.parts')), ['fresh'])
})

test('ready rejects when nothing can be written', async (t) => {
  const { storage, directory } = await newStorage(t)
  await storage.ready()
  assert.deepEqual(await readdir(join(directory, '.parts')), [])
  await rm(join(directory, '.parts'), { recursive: true })
  await assert.rejects(storage.ready())
  await mkdir(join(directory, '.parts'))
  await storage.ready()
})
