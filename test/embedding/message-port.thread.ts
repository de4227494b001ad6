/** A mail server in a thread of its own, with no socket: its one client is at the other end of a MessageChannel. */
import { createHash } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { createServer, reply } from '@postern/engine'
import { overMessagePort } from './message-port.ts'

const go = Promise.withResolvers<void>()
parentPort?.once('message', go.resolve)

const server = createServer({
  hostname: 'thread.example',
  async data(message) {
    // The test says when, so that it can see who waits meanwhile.
    await go.promise
    const hash = createHash('sha256')
    for await (const chunk of message.body) hash.update(chunk)
    return reply(250, '2.0.0', `${message.size} ${hash.digest('hex')}`)
  },
})
await server.accept(overMessagePort(workerData as InstanceType<typeof MessagePort>))
