/**
 * A registry of npm packages on loopback. It has the tarballs that a test made, and the packages that they depend on, as this workspace has
 * installed them. So a test installs by name, as a user does, and needs no network.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Manifest, readManifest } from '../release/packages.ts'

interface Entry {
  readonly manifest: Manifest
  /** Makes the tarball. */
  tarball(): Buffer
}

export class Registry {
  /** By name, then by version. */
  readonly #packages = new Map<string, Map<string, Entry>>()
  #server: Server | undefined

  /** Adds a tarball, and what it depends on. @param folder Where its dependencies are installed */
  addTarball(path: string, folder: string): void {
    const manifest = JSON.parse(
      execFileSync('tar', ['-xzOf', path, 'package/package.json'], { encoding: 'utf8' }),
    ) as Manifest
    this.#add({ manifest, tarball: () => readFileSync(path) }, folder)
  }

  /** Adds an installed package, and what it depends on. @param folder From where it is found */
  addInstalled(name: string, folder: string): void {
    const found = installed(name, realpathSync(folder))
    this.#add({ manifest: readManifest(join(found, 'package.json')), tarball: () => pack(found) }, found)
  }

  #add(entry: Entry, folder: string): void {
    const { name, version, dependencies = {} } = entry.manifest
    const versions = this.#packages.get(name) ?? new Map<string, Entry>()
    if (versions.has(version)) return
    this.#packages.set(name, versions.set(version, entry))
    for (const needed of Object.keys(dependencies)) {
      if (!needed.startsWith('@postern/')) this.addInstalled(needed, folder)
    }
  }

  /** @returns its URL */
  async start(): Promise<string> {
    this.#server = createServer((request, response) => {
      const [name = '', version] = decodeURIComponent(request.url ?? '')
        .slice(1)
        .split('/-/')
      const versions = this.#packages.get(name)
      const tarball = version === undefined ? undefined : versions?.get(version)?.tarball()
      if (tarball !== undefined) response.end(tarball)
      else if (version === undefined && versions !== undefined) {
        response.end(JSON.stringify(packument(name, versions, request.headers.host ?? '')))
      } else response.writeHead(404).end('{}')
    }).listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`
  }

  stop(): void {
    this.#server?.close()
    this.#server?.closeAllConnections()
  }
}

/** The document that npm asks for before it installs a package. */
function packument(name: string, versions: ReadonlyMap<string, Entry>, host: string): object {
  const entries = [...versions].map(([version, { manifest }]) => {
    // The scripts of an installed package have run when this workspace installed it.
    const { scripts: _, ...rest } = manifest
    return [version, { ...rest, dist: { tarball: `http://${host}/${name}/-/${version}` } }] as const
  })
  return { name, 'dist-tags': { latest: entries[0]?.[0] }, versions: Object.fromEntries(entries) }
}

/** Finds a package as Node does, also one that does not export its package.json. */
function installed(name: string, from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    const path = join(folder, 'node_modules', name)
    if (existsSync(path)) return realpathSync(path)
    const beside = join(folder, name)
    if (folder.endsWith('/node_modules') && existsSync(beside)) return realpathSync(beside)
    if (folder === dirname(folder)) throw new Error(`${name} is not installed for ${from}`)
  }
}

function pack(folder: string): Buffer {
  const scratch = mkdtempSync(join(tmpdir(), 'postern-registry-'))
  try {
    // A copy, because pnpm stores equal files of a package as one, and npm drops links of a tarball.
    const filter = (path: string): boolean => path !== join(folder, 'node_modules')
    cpSync(folder, join(scratch, 'package'), { recursive: true, dereference: true, filter })
    return execFileSync('tar', ['-czf', '-', '-C', scratch, 'package'], {
      maxBuffer: 64 * 1024 * 1024,
    })
  } finally {
    rmSync(scratch, { recursive: true })
  }
}
