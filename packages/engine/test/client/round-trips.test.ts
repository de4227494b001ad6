/** How often the server waits for the client in one transaction, counted at the server's socket, beside nodemailer. */
import { createServer, type Duplex } from '@postern/engine'
import { connect, listen } from '@postern/runtime/node'
import { createTransport } from 'nodemailer'
import { expect, test } from 'vitest'
import { turns } from './house.ts'

const MESSAGE = 'Subject: x\r\n\r\nHello\r\n'
const FROM = 'a@x.example'
const TO = ['b@y.example', 'c@y.example']

/** Sends a message on a connection that is open, and calls `mark` before and after it. */
type Sender = (port: number, mark: () => void) => Promise<void>

/** Counts the flights of a client, from MAIL to the reply to the message: how often the server answers after it has read. */
async function roundTrips(disabled: readonly string[], send: Sender): Promise<number> {
  let count = 0
  const marks: number[] = []
  const server = createServer({
    hostname: 'mx.example.com',
    disabled,
    data: async (message) => void (await message.bytes()),
  })
  const accept = (duplex: Duplex): unknown => server.accept(turns(duplex, () => count++))
  const listener = await listen({ accept }, { port: 0, host: '127.0.0.1' })
  try {
    await send(listener.address.port, () => marks.push(count))
    return (marks[1] as number) - (marks[0] as number)
  } finally {
    await listener.close()
  }
}

const ours: Sender = async (port, mark) => {
  const client = await connect(`smtp://127.0.0.1:${port}`, { hostname: 'client.example.com' })
  mark()
  await client.send({ reversePath: FROM, forwardPaths: TO }, MESSAGE)
  mark()
  await client.quit()
}

const nodemailers: Sender = async (port, mark) => {
  const transport = createTransport({ host: '127.0.0.1', port, pool: true, maxConnections: 1, ignoreTLS: true })
  const mail = { envelope: { from: FROM, to: TO }, raw: MESSAGE }
  // The first message makes the connection.
  await transport.sendMail(mail)
  mark()
  await transport.sendMail(mail)
  mark()
  transport.close()
}

test('a small message costs one round trip, where nodemailer needs two', async () => {
  expect(await roundTrips([], ours)).toBe(1)
  expect(await roundTrips([], nodemailers)).toBe(2)
  expect(await roundTrips(['CHUNKING', 'BINARYMIME'], ours)).toBe(2)
})
