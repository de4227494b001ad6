/** Postern: the engine on this runtime's own sockets. One file for Node, Deno and Bun. */
import { readFileSync } from 'node:fs'
import { createServer, type Handlers } from '@postern/engine'
import { tellAllocated } from './allocated.ts'
import { discard } from './discard.ts'
import { hash } from './hash.ts'
import { keepInMemory } from './in-memory.ts'
import { keepOnDisk } from './on-disk.ts'
import { announce, readServerOptions } from './options.ts'
import { OPTIONS } from './posture.ts'

const { store, directory, keyFile, certFile, allocation } = readServerOptions()
const runtime = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node'
const { listen } = (await import(`@postern/runtime/${runtime}`)) as typeof import('@postern/runtime/node')

function chooseStore(): NonNullable<Handlers['data']> {
  switch (store) {
    case 'discard':
      return discard
    case 'hash':
      return hash
    case 'memory':
      return keepInMemory()
    case 'fs':
    case 'packed':
      if (directory === undefined) throw new Error(`--directory: the ${store} store needs one`)
      return keepOnDisk(directory, store === 'fs' ? 'files' : 'packed')
    default:
      throw new Error(`--store: ${store} is not discard, hash, memory, fs or packed`)
  }
}

const tls =
  keyFile === undefined || certFile === undefined
    ? {}
    : { tls: { key: readFileSync(keyFile), cert: readFileSync(certFile) } }
const server = createServer({ ...OPTIONS, data: chooseStore() })
const listener = await listen(server, { port: 0, host: '127.0.0.1', ...tls })
if (allocation) await tellAllocated()
announce({ port: listener.address.port })
