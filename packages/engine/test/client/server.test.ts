/** The client against the engine's own server, in memory. */
import { createServer, type Duplex, type ServerOptions } from '@postern/engine'
import { type ClientOptions, openClient } from '@postern/engine/client'
import { pair, type PairOptions } from '@postern/runtime/memory'
import { expect, test } from 'vitest'
import { binary } from '../protocol.ts'

interface Arrived {
  readonly from: string
  readonly to: readonly string[]
  readonly text: string
}

interface House {
  readonly arrived: Arrived[]
  connect(options?: Partial<ClientOptions>, link?: PairOptions): ReturnType<typeof openClient>
}

/** Makes a server that keeps what it gets. */
function house(options: Partial<ServerOptions> = {}): House {
  const arrived: Arrived[] = []
  const server = createServer({
    hostname: 'mx.example.com',
    async data(message) {
      let text = ''
      for await (const chunk of message.body) text += binary(chunk)
      const { reversePath, forwardPaths } = message.envelope
      arrived.push({ from: reversePath.address, to: forwardPaths.map(({ address }) => address), text })
    },
    ...options,
  })
  return {
    arrived,
    connect(client, link) {
      const [mine, theirs]: [Duplex, Duplex] = pair({ lingerMs: 1, ...link })
      void server.accept(theirs)
      return openClient(mine, { hostname: 'client.example.com', ...client })
    },
  }
}

const ENVELOPE = { reversePath: 'a@client.example.com', forwardPaths: ['b@mx.example.com', 'c@mx.example.com'] }

test('a message arrives with its envelope, and dots at the start of lines', async () => {
  const { arrived, connect } = house()
  const client = await connect()
  const sent = await client.send(ENVELOPE, 'Subject: x\n\n.\n..two\nlast')
  await client.quit()
  expect(sent.recipients.map(({ isAccepted, stage }) => [isAccepted, stage])).toEqual([
    [true, 'final'],
    [true, 'final'],
  ])
  expect(arrived).toEqual([
    { from: ENVELOPE.reversePath, to: ENVELOPE.forwardPaths, text: 'Subject: x\r\n\r\n.\r\n..two\r\nlast\r\n' },
  ])
})
