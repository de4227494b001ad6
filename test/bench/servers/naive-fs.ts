/**
 * What a plain program does to keep each message: the barest server, and for each one write, fsync, rename, fsync of the
 * directory. Nobody shares anything.
 */
import { open, rename } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { findWithBuffer, GREETING, Machine } from './barest.ts'
import { announce, readServerOptions } from './options.ts'

const { directory = '.' } = readServerOptions()
let messages = 0
let fsyncs = 0

async function keep(bytes: Uint8Array): Promise<void> {
  const name = `${++messages}`
  const temporary = join(directory, `${name}.tmp`)
  const file = await open(temporary, 'wx', 0o600)
  await file.writeFile(bytes)
  await file.sync()
  await file.close()
  await rename(temporary, join(directory, `${name}.eml`))
  const folder = await open(directory)
  await folder.sync()
  await folder.close()
  fsyncs += 2
}

function serve(socket: Socket): void {
  const machine = new Machine(findWithBuffer)
  let text: Uint8Array[] = []
  socket.on('data', async (received) => {
    // Clients here send the text by itself, and nothing behind it.
    const isText = machine.inText
    const { bytes, isLast } = machine.take(received)
    if (isText) text.push(received)
    if (bytes === undefined) return
    if (isText) {
      const message = Buffer.concat(text)
      text = []
      await keep(message)
    }
    if (isLast) socket.end(bytes)
    else socket.write(bytes)
  })
  socket.on('error', () => socket.destroy())
  socket.write(GREETING)
}

process.on('SIGTERM', () => {
  announce({ messages, fsyncs })
  process.exit()
})
const listener = createServer({ noDelay: true }, serve)
listener.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  announce({ port: (listener.address() as AddressInfo).port }),
)
