/** The rival: smtp-server of npm, set up to do as little as it can. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AddressInfo, Server } from 'node:net'
import type { Readable } from 'node:stream'
import { tellAllocated } from './allocated.ts'
import { announce, readServerOptions } from './options.ts'

type Done = (error?: Error | null, answer?: object) => void

interface Connection {
  _setListeners(ready: () => void): void
  connectionReady(): void
}

interface SmtpServer {
  readonly server: Server
  listen(port: number, host: string, ready: () => void): void
  on(event: 'error', listener: () => void): void
}

const require = createRequire(import.meta.url)
const { SMTPServer } = require('smtp-server') as { SMTPServer: new (options: object) => SmtpServer }
const { SMTPConnection } = require('smtp-server/lib/smtp-connection.js') as {
  SMTPConnection: { prototype: Connection & { init(): void } }
}

// It waits 100 ms for who talks before the greeting; there is no option for that.
SMTPConnection.prototype.init = function (this: Connection) {
  this._setListeners(() => this.connectionReady())
}

const { keyFile, certFile, allocation } = readServerOptions()
const tls =
  keyFile === undefined || certFile === undefined
    ? undefined
    : { key: readFileSync(keyFile), cert: readFileSync(certFile) }

const server = new SMTPServer({
  ...tls,
  hideSTARTTLS: tls === undefined,
  authOptional: true,
  authMethods: ['PLAIN'],
  disableReverseLookup: true,
  logger: false,
  size: 100 * 1024 * 1024,
  onAuth: (_auth: object, _session: object, done: Done) => done(null, { user: 'someone' }),
  onData(stream: Readable, _session: object, done: Done) {
    stream.on('data', () => {})
    stream.on('end', () => done())
  },
})
server.on('error', () => {})
if (allocation) await tellAllocated()
server.listen(0, '127.0.0.1', () => announce({ port: (server.server.address() as AddressInfo).port }))
