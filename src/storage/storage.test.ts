import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { atEnd } from '../../test/at-end.ts'
import { startS3Server } from '../../test/s3-server.ts'
import { limitedTo } from '../limited-to.ts'
import { createLocalStorage } from './local.ts'
import { createS3Storage } from './s3.ts'
import type { Storage } from './storage.ts'

const s3 = await startS3Server()
atEnd(s3.stop)

interface Place {
  storage: Storage
  /** A folder for the test's own files. */
  folder: string
  /** Of puts that broke off, anywhere. */
  leftOver(): Promise<number>
}

const places: Record<string, (t: TestContext) => Promise<Place>> = {
  async local(t) {
    const folder = await newFolder(t)
    const directory = join(folder, 'files')
    const storage = await createLocalStorage({ directory })
    return { storage, folder, leftOver: async () => (await readdir(join(directory, '.parts'))).length }
  },
  async S3(t) {
    const folder = await newFolder(t)
    const temporaryDirectory = join(folder, 'tmp')
    await mkdir(temporaryDirectory)
    const settings = await s3.newBucket()
    const storage = await createS3Storage(settings, { temporaryDirectory })
    t.after(() => storage.close())
    const leftOver = async () => s3.openUploads(settings.bucket) + (await readdir(temporaryDirectory)).length
    return { storage, folder, leftOver }
  },
}

async function newFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'filmgate-storage-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const content = Buffer.from('0123456789')
const hashOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const read = (storage: Storage, key: string) => storage.withLocalFile(key, (path) => readFile(path, 'utf8'))
// three parts and a bit, and no two parts the same
const large = Buffer.alloc(26_000_000, 'film')
for (let offset = 0; offset < large.length; offset += 1000) large.writeUInt32LE(offset, offset)
function* piecesOf(bytes: Buffer, size: number): Generator<Buffer> {
  for (let offset = 0; offset < bytes.length; offset += size) yield bytes.subarray(offset, offset + size)
}

for (const [name, newPlace] of Object.entries(places)) {
  test(`${name}: what was put is read back, whole and by range, with its size and hash`, async (t) => {
    const { storage, folder } = await newPlace(t)
    const sha256 = hashOf(content)
    assert.deepEqual(await storage.put('outputs/job_1/0.mp4', Readable.from([content])), {
      bytes: 10,
      sha256,
    })
    const whole = await storage.open('outputs/job_1/0.mp4')
    assert.deepEqual([whole?.bytes, whole?.totalBytes], [10, 10])
    assert.deepEqual(await buffer(whole!.stream), content)
    for (const [range, expected] of [
      [{ start: 2, end: 4 }, '234'],
      [{ start: 0, end: 0 }, '0'],
      [{ end: 3 }, '0123'],
      [{ start: 7 }, '789'],
      [{ start: 7, end: 99 }, '789'],
      [{ start: 10 }, ''],
      [{ start: 10, end: 12 }, ''],
      [{ start: 5, end: 3 }, ''],
    ] as const) {
      const part = await storage.open('outputs/job_1/0.mp4', range)
      assert.deepEqual(
        [part?.bytes, part?.totalBytes, await text(part!.stream)],
        [expected.length, 10, expected],
        JSON.stringify(range),
      )
    }
    const found = await storage.stat('outputs/job_1/0.mp4')
    assert.equal(found?.bytes, 10)
    assert.ok(Math.abs(found.modifiedAt.getTime() - Date.now()) < 3_600_000)
    const file = join(folder, 'source.bin')
    await writeFile(file, content)
    assert.deepEqual(await storage.put('copy', { file }), { bytes: 10, sha256 })
    assert.equal(await read(storage, 'copy'), '0123456789')
  })

  test(`${name}: an empty object is one`, async (t) => {
    const { storage } = await newPlace(t)
    assert.deepEqual(await storage.put('empty', Readable.from([])), {
      bytes: 0,
      sha256: hashOf(Buffer.alloc(0)),
    })
    const found = await storage.open('empty')
    assert.deepEqual([found?.bytes, found?.totalBytes, await text(found!.stream)], [0, 0, ''])
    const part = await storage.open('empty', { start: 0, end: 5 })
    assert.deepEqual([part?.bytes, part?.totalBytes, await text(part!.stream)], [0, 0, ''])
    assert.equal((await storage.stat('empty'))?.bytes, 0)
  })

  test(`${name}: a large object of unknown length is read back as it was, in ranges too`, async (t) => {
    const { storage, leftOver } = await newPlace(t)
    const put = await storage.put('large', Readable.from(piecesOf(large, 700_001)))
    assert.deepEqual(put, { bytes: large.length, sha256: hashOf(large) })
    const whole = await storage.open('large')
    assert.equal(hashOf(await buffer(whole!.stream)), put.sha256)
    const range = { start: 8_388_600, end: 16_777_300 }
    const part = await storage.open('large', range)
    assert.equal(hashOf(await buffer(part!.stream)), hashOf(large.subarray(range.start, range.end + 1)))
    assert.equal(await leftOver(), 0)
  })

  test(`${name}: an object that ends where a part does is whole`, async (t) => {
    const { storage } = await newPlace(t)
    for (const bytes of [8_388_608, 16_777_216]) {
      const put = await storage.put('even', Readable.from(piecesOf(large.subarray(0, bytes), 1_048_576)))
      assert.deepEqual(put, { bytes, sha256: hashOf(large.subarray(0, bytes)) })
      assert.equal((await storage.stat('even'))?.bytes, bytes)
    }
  })

  test(`${name}: a put that breaks off leaves the old object whole and nothing behind, however far it came`, async (t) => {
    const { storage, folder, leftOver } = await newPlace(t)
    await storage.put('a', Readable.from([Buffer.from('old')]))
    for (const bytes of [4, 20_000_000]) {
      const breaking = Readable.from(
        (async function* () {
          yield* piecesOf(large.subarray(0, bytes), 1_000_000)
          assert.equal(await read(storage, 'a'), 'old')
          throw new Error('connection lost')
        })(),
      )
      await assert.rejects(storage.put('a', breaking), /connection lost/)
    }
    await assert.rejects(storage.put('b', { file: join(folder, 'absent') }), { code: 'ENOENT' })
    assert.equal(await read(storage, 'a'), 'old')
    assert.equal(await storage.stat('b'), undefined)
    assert.equal(await leftOver(), 0)
  })

  test(`${name}: a put of too much is cut off and leaves nothing behind`, async (t) => {
    const { storage, leftOver } = await newPlace(t)
    for (const [chunk, maxBytes] of [
      [1000, 5000],
      [1_000_000, 18_000_000],
    ] as const) {
      const endless = Readable.from(
        (async function* () {
          for (;;) yield Buffer.alloc(chunk)
        })(),
      )
      await assert.rejects(storage.put('a', endless, { maxBytes }), { code: 'TOO_LARGE' })
      assert.equal(endless.destroyed, true)
    }
    const exact = Readable.from([Buffer.alloc(5000)])
    assert.equal((await storage.put('b', exact, { maxBytes: 5000 })).bytes, 5000)
    assert.equal(await storage.stat('a'), undefined)
    assert.equal(await leftOver(), 0)
  })

  test(`${name}: a source that fails before its first byte is asked for fails the put and nothing else`, async (t) => {
    const { storage, leftOver } = await newPlace(t)
    const early = new Readable({ read() {} })
    const put = storage.put('a', early)
    early.destroy(new Error('reset'))
    await assert.rejects(put, /reset/)
    assert.equal(await storage.stat('a'), undefined)
    assert.equal(await leftOver(), 0)
  })

  test(`${name}: of many puts of one key one wins, whole`, async (t) => {
    const { storage } = await newPlace(t)
    const contents = Array.from({ length: 20 }, (_, index) => String(index % 10).repeat(50_000))
    await Promise.all(contents.map((text) => storage.put('dir/same', Readable.from([Buffer.from(text)]))))
    assert.ok(contents.includes(await read(storage, 'dir/same')))
  })

  test(`${name}: no key leads out of the storage or to its inner files`, async (t) => {
    const { storage } = await newPlace(t)
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
      '.ready',
    ]
    keys.push('a/.b', 'A', 'ä', 'a\\b', 'a\0', 'a b', '%2e%2e/x', 'x'.repeat(513))
    for (const key of keys) {
      await assert.rejects(storage.put(key, Readable.from([])), { code: 'INVALID_KEY' }, key)
      await assert.rejects(storage.open(key), { code: 'INVALID_KEY' }, key)
      await assert.rejects(storage.stat(key), { code: 'INVALID_KEY' }, key)
      await assert.rejects(storage.remove(key), { code: 'INVALID_KEY' }, key)
    }
    await assert.rejects(storage.list('../')[Symbol.asyncIterator]().next(), { code: 'INVALID_KEY' })
  })

  test(`${name}: absent objects are undefined, and a folder is no object`, async (t) => {
    const { storage } = await newPlace(t)
    await storage.put('dir/x', Readable.from([Buffer.from('x')]))
    for (const key of ['nothing', 'dir', 'dir/x/y']) {
      assert.equal(await storage.open(key), undefined, key)
      assert.equal(await storage.open(key, { start: 1 }), undefined, key)
      assert.equal(await storage.stat(key), undefined, key)
    }
    const nothing = storage.withLocalFile('nothing', async () => {})
    await assert.rejects(nothing, { code: 'NOT_FOUND' })
    await storage.remove('dir/x')
    await storage.remove('dir/x')
    assert.equal(await storage.stat('dir/x'), undefined)
  })

  test(`${name}: a file that is lent is gone afterwards, also where its use failed`, async (t) => {
    const { storage, leftOver } = await newPlace(t)
    await storage.put('a', Readable.from([content]))
    assert.equal(await storage.withLocalFile('a', async (path) => (await stat(path)).size), 10)
    const failing = storage.withLocalFile('a', () => Promise.reject(new Error('no film')))
    await assert.rejects(failing, /no film/)
    assert.equal(await leftOver(), 0)
    assert.equal(await read(storage, 'a'), '0123456789')
  })

  test(`${name}: list gives the keys under a prefix, however many there are`, async (t) => {
    const { storage } = await newPlace(t)
    for (const key of ['outputs/a/0.mp4', 'outputs/a/0.jpg', 'outputs/ab', 'uploads/z']) {
      await storage.put(key, Readable.from([Buffer.from(key)]))
    }
    const listed = async (prefix: string) => (await Array.fromAsync(storage.list(prefix))).sort()
    assert.deepEqual(await listed('outputs/a/'), ['outputs/a/0.jpg', 'outputs/a/0.mp4'])
    assert.deepEqual(await listed('outputs/a'), ['outputs/a/0.jpg', 'outputs/a/0.mp4', 'outputs/ab'])
    assert.equal((await listed('')).length, 4)
    assert.deepEqual(await listed('absent/'), [])
    const many = Array.from({ length: 1_100 }, (_, index) => `many/${String(index).padStart(4, '0')}`)
    const inTurn = limitedTo(50)
    await Promise.all(many.map((key) => inTurn(() => storage.put(key, Readable.from([content])))))
    assert.deepEqual(await listed('many/'), many)
  })

  test(`${name}: a storage that can be written is ready, and no trace of the probe is listed`, async (t) => {
    const { storage, leftOver } = await newPlace(t)
    await storage.ready()
    assert.deepEqual(await Array.fromAsync(storage.list('')), [])
    assert.equal(await leftOver(), 0)
  })
}
