/**
 * A disk in memory that knows what a power cut may lose.
 *
 * It follows the weakest reading of POSIX. The contents of a file are safe once the file is synced. A name is safe once its
 * directory is synced. Both are safe only as they were when that sync began. After a power cut, all else may have any state: a
 * name may have any state since the last sync, and a file may have its new bytes, a part of them, or zeros in their place.
 * Inode numbers are used again as soon as they are free.
 */
import { constants, type Dirent, type Stats } from 'node:fs'
import { dirname } from 'node:path'
import type { Disk } from '../src/disk/disk.ts'
import { systemError } from './disks.ts'
import {
  type Ages,
  bytesAfterCut,
  type Choose,
  type Directory,
  type File,
  type Inode,
  makeSafe,
  namesAfterCut,
  setName,
  statsOf,
} from './inode.ts'

export type { Choose } from './inode.ts'

export const ROOT = '/mail'

/** The error that a call throws, before or after it did its work. */
export interface Fault {
  before?(call: keyof Disk, nth: number): Error | undefined
  after?(call: keyof Disk, nth: number): Error | undefined
}
export interface PowerCutOptions extends Ages {
  /** How many turns of other calls a call waits before its work, and after it. Default none. */
  readonly delay?: () => number
}

interface OpenFile {
  readonly inode: Inode
  at: number
}

const NEVER = new Promise<never>(() => undefined)

export class PowerCutDisk implements Disk {
  fault: Fault = {}
  /** The disk stops at this call, and no call ends any more. */
  stopAt: number = Infinity
  calls: number = 0
  readonly stopped: Promise<void>
  readonly #options: PowerCutOptions
  #root: Directory
  #open = new Map<number, OpenFile>()
  #nextFile = 3
  #used = new Set<number>()
  #births = 1
  #stop!: () => void
  #isStopped = false

  constructor(options: PowerCutOptions = {}) {
    this.#options = options
    this.#root = this.#newDirectory()
    setName(this.#root, '.tmp', this.#newDirectory())
    makeSafe(this.#root, 1)
    this.stopped = new Promise((resolve) => (this.#stop = resolve))
  }

  get openFiles(): number {
    return this.#open.size
  }

  /** Returns the same disk after its processes were killed. No data is lost, and no more data is safe. */
  restarted(): PowerCutDisk {
    this.#isStopped = true
    const disk = new PowerCutDisk(this.#options)
    disk.#root = this.#root
    disk.#used = this.#used
    disk.#births = this.#births
    return disk
  }

  /** Returns a disk that a power cut may leave now. `chance` chooses the state of temporary names, `choose` all other states. */
  cut(choose: Choose, chance: Choose): PowerCutDisk {
    const disk = new PowerCutDisk(this.#options)
    const files = new Map<File, File>()
    const directory = (old: Directory, pick: Choose): Directory => {
      const fresh = disk.#newDirectory()
      for (const [name, inode] of namesAfterCut(old, pick)) {
        const copy = inode.kind === 'file' ? file(inode, pick) : directory(inode, name === '.tmp' ? chance : pick)
        fresh.names.set(name, copy)
        fresh.safeNames.set(name, copy)
      }
      return fresh
    }
    const file = (old: File, pick: Choose): File => {
      const known = files.get(old)
      if (known !== undefined) {
        known.links++
        return known
      }
      const bytes = bytesAfterCut(old, pick)
      const fresh: File = { ...disk.#newFile(), bytes, safe: bytes.length }
      files.set(old, fresh)
      return fresh
    }
    disk.#used.clear()
    disk.#root = directory(this.#root, choose)
    return disk
  }

  /** Returns the paths of all files, below the root. */
  files(): string[] {
    const walk = (directory: Directory, prefix: string): string[] =>
      [...directory.names].flatMap(([name, inode]) =>
        inode.kind === 'file' ? [prefix + name] : walk(inode, `${prefix}${name}/`),
      )
    return walk(this.#root, '').toSorted()
  }

  open(path: string, flags: number): Promise<number> {
    return this.#call('open', () => {
      let inode = this.#find(path)
      if ((flags & constants.O_CREAT) !== 0) {
        if (inode !== undefined) throw systemError('EEXIST', 'open')
        inode = this.#newFile()
        setName(this.#above(path, 'open'), nameOf(path), inode)
      }
      if (inode === undefined) throw systemError('ENOENT', 'open')
      const file = this.#nextFile++
      this.#open.set(file, { inode, at: 0 })
      return file
    })
  }

  write(file: number, bytes: Uint8Array, offset: number, length: number): Promise<number> {
    return this.#call('write', () => {
      const inode = this.#opened(file).inode as File
      inode.bytes = Buffer.concat([inode.bytes, bytes.subarray(offset, offset + length)])
      return length
    })
  }

  read(file: number, bytes: Uint8Array, offset: number, length: number, position?: number): Promise<number> {
    return this.#call('read', () => {
      const opened = this.#opened(file)
      const at = position ?? opened.at
      const some = (opened.inode as File).bytes.subarray(at, at + length)
      bytes.set(some, offset)
      if (position === undefined) opened.at += some.length
      return some.length
    })
  }

  truncate(file: number, length: number): Promise<void> {
    return this.#call('truncate', () => {
      const inode = this.#opened(file).inode as File
      inode.longer.push(inode.bytes)
      inode.bytes = inode.bytes.subarray(0, length)
      inode.safe = Math.min(inode.safe, length)
    })
  }

  fsync(file: number): Promise<void> {
    const { inode } = this.#opened(file)
    // Changes after this moment wait for the next sync.
    const until = inode.kind === 'file' ? inode.bytes.length : inode.logged + inode.log.length
    const cuts = inode.kind === 'file' ? [...inode.longer] : []
    return this.#call('fsync', () => {
      if (inode.kind === 'directory') return makeSafe(inode, until)
      inode.safe = Math.max(inode.safe, until)
      inode.longer = inode.longer.filter((each) => !cuts.includes(each))
    })
  }

  close(file: number): Promise<void> {
    return this.#call('close', () => {
      const { inode } = this.#opened(file)
      this.#open.delete(file)
      if (inode.kind === 'file' && inode.links === 0) this.#used.delete(inode.ino)
    })
  }

  fstat(file: number): Promise<Stats> {
    return this.#call('fstat', () => statsOf(this.#opened(file).inode, this.#options))
  }

  lstat(path: string): Promise<Stats> {
    return this.#call('lstat', () => statsOf(this.#existing(path, 'lstat'), this.#options))
  }

  realpath(path: string): Promise<string> {
    return this.#call('realpath', () => {
      this.#existing(path, 'realpath')
      return path
    })
  }

  mkdir(path: string): Promise<void> {
    return this.#call('mkdir', () => {
      if (this.#find(path) !== undefined) throw systemError('EEXIST', 'mkdir')
      setName(this.#above(path, 'mkdir'), nameOf(path), this.#newDirectory())
    })
  }

  rmdir(path: string): Promise<void> {
    return this.#call('rmdir', () => {
      const inode = this.#existing(path, 'rmdir') as Directory
      if (inode.names.size > 0) throw systemError('ENOTEMPTY', 'rmdir')
      setName(this.#above(path, 'rmdir'), nameOf(path), undefined)
      this.#used.delete(inode.ino)
    })
  }

  link(from: string, to: string): Promise<void> {
    return this.#call('link', () => {
      const inode = this.#existing(from, 'link') as File
      const above = this.#above(to, 'link')
      if (above.names.has(nameOf(to))) throw systemError('EEXIST', 'link')
      inode.links++
      setName(above, nameOf(to), inode)
    })
  }

  unlink(path: string): Promise<void> {
    return this.#call('unlink', () => {
      const inode = this.#existing(path, 'unlink') as File
      inode.links--
      setName(this.#above(path, 'unlink'), nameOf(path), undefined)
    })
  }

  readdir(path: string): Promise<Dirent[]> {
    return this.#call('readdir', () => {
      const directory = this.#existing(path, 'readdir') as Directory
      return [...directory.names].map(
        ([name, { kind }]) =>
          ({ name, isFile: () => kind === 'file', isDirectory: () => kind === 'directory' }) as unknown as Dirent,
      )
    })
  }

  async #call<T>(call: keyof Disk, work: () => T): Promise<T> {
    const nth = ++this.calls
    if (nth >= this.stopAt && !this.#isStopped) {
      this.#isStopped = true
      this.#stop()
    }
    await this.#pause()
    const before = this.fault.before?.(call, nth)
    if (before !== undefined) {
      // Linux closes the file even if the call fails.
      if (call === 'close') work()
      throw before
    }
    const result = work()
    await this.#pause()
    const after = this.fault.after?.(call, nth)
    if (after !== undefined) {
      // A file that was created and is not open.
      if (call === 'open') this.#open.delete(result as number)
      throw after
    }
    return result
  }

  async #pause(): Promise<void> {
    for (let left = this.#options.delay?.() ?? 0; left > 0; left--) await Promise.resolve()
    if (this.#isStopped) await NEVER
  }

  #opened(file: number): OpenFile {
    const opened = this.#open.get(file)
    if (opened === undefined) throw systemError('EBADF', 'a call')
    return opened
  }

  #find(path: string): Inode | undefined {
    let inode: Inode | undefined = this.#root
    for (const name of path.slice(ROOT.length).split('/')) {
      if (name === '') continue
      if (inode?.kind !== 'directory') return undefined
      inode = inode.names.get(name)
    }
    return inode
  }

  #existing(path: string, syscall: string): Inode {
    const inode = this.#find(path)
    if (inode === undefined) throw systemError('ENOENT', syscall)
    return inode
  }

  #above(path: string, syscall: string): Directory {
    return this.#existing(dirname(path), syscall) as Directory
  }

  #newFile(): File {
    const bytes = new Uint8Array(0)
    return { kind: 'file', ino: this.#number(), born: this.#births++, bytes, longer: [], safe: 0, links: 1 }
  }

  #newDirectory(): Directory {
    const ino = this.#number()
    return { kind: 'directory', ino, born: this.#births++, names: new Map(), safeNames: new Map(), log: [], logged: 0 }
  }

  #number(): number {
    let ino = 2
    while (this.#used.has(ino)) ino++
    this.#used.add(ino)
    return ino
  }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
