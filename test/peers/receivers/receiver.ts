/** Servers of others that take mail from our client: what the tests need of each, and the server that they pass mail on to. */
import { createServer, type Listener } from '@postern/engine'
import { listen, selfSigned, type SelfSignedCertificate } from '@postern/runtime/node'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import type { Daemon } from '../../kit/daemon.ts'
import type { Scratch } from '../../kit/scratch.ts'
import { mustRun } from '../../kit/tool.ts'
import { eventually } from '../../kit/waiting.ts'

/** The user of each receiver. No receiver has a mailbox `nobody`. */
export const USER = 'ann@postern.example'
export const PASSWORD = 'correct-horse'
export const TOKEN = 'ya29.a0AfH6SMBx'
export const NOBODY = 'nobody@postern.example'
/** Those who have mailboxes. */
export const RECIPIENTS: readonly string[] = ['bob', 'cat', 'dog', 'large'].map((name) => `${name}@postern.example`)

/** A running server of somebody else. */
export interface Receiver extends AsyncDisposable {
  /** `smtp://127.0.0.1:…`, in clear and with STARTTLS; or `lmtp://…`. */
  readonly url: string
  /** Returns a message that a recipient got. It waits until there is one. */
  taken(recipient: string): Promise<Buffer>
  log(): Promise<string>
}

/** The key and the certificate of a receiver, and the certificate of a client. */
export interface Files {
  readonly keyFile: string
  readonly certFile: string
  readonly ca: string
  readonly client: SelfSignedCertificate
}

/** Takes the mail that receivers pass on. */
export class Sink implements AsyncDisposable {
  readonly port: number
  readonly #listener: Listener
  readonly #taken: ReadonlyMap<string, Buffer>

  private constructor(listener: Listener, taken: ReadonlyMap<string, Buffer>) {
    this.#listener = listener
    this.port = listener.address.port
    this.#taken = taken
  }

  static async start(): Promise<Sink> {
    const taken = new Map<string, Buffer>()
    const server = createServer({
      hostname: 'sink.postern.example',
      async data(message) {
        const bytes = Buffer.from(await message.bytes())
        for (const { address } of message.envelope.forwardPaths) taken.set(address, bytes)
      },
    })
    return new Sink(await listen(server, { host: '127.0.0.1', port: 0 }), taken)
  }

  async taken(recipient: string, log: () => Promise<string>): Promise<Buffer> {
    try {
      await eventually(() => this.#taken.has(recipient), `mail for ${recipient}`)
    } catch (error) {
      throw new Error(await log(), { cause: error })
    }
    return this.#taken.get(recipient) as Buffer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener.close()
  }
}

/** Makes a certificate with an RSA key, as most hosts have. */
export async function makeFiles(scratch: Scratch): Promise<Files> {
  const [keyFile, certFile] = [scratch.join('key.pem'), scratch.join('cert.pem')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', keyFile]
  await mustRun('openssl', ['req', '-x509', '-days', '2', '-out', certFile, ...key, ...subject])
  return {
    keyFile,
    certFile,
    ca: await readFile(certFile, 'utf8'),
    client: await selfSigned({ hosts: ['ann.example'] }),
  }
}

/** Writes a file that every user may read. */
export async function writeReadable(scratch: Scratch, name: string, text: string): Promise<string> {
  const file = scratch.join(name)
  await writeFile(file, text)
  await chmod(file, 0o644)
  return file
}

/** Waits until a server greets at this port. */
export async function greets(port: number, daemon: Daemon, log: () => Promise<string>): Promise<void> {
  const isUp = async (): Promise<boolean> => {
    if (!daemon.isRunning) throw new Error(`it ended:\n${daemon.output}\n${await log()}`)
    return hasGreeting(port)
  }
  await eventually(isUp, `a greeting at port ${port}`)
}

function hasGreeting(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (isUp: boolean): void => {
      socket.destroy()
      resolve(isUp)
    }
    socket.once('data', () => end(true))
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
  })
}
