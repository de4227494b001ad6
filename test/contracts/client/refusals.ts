/** What the server refuses. */
import { type ClientCheck, envelope, expectEqual, expectFailure, octets, ORDINARY, TO, type Way } from './check.ts'

const MESSAGE = octets('Subject: refused\r\n\r\ntext\r\n')
const EVERYWHERE: readonly Way[] = [...ORDINARY, 'old server']

export const refusals: readonly ClientCheck[] = [
  {
    name: 'a refused recipient does not keep the message from the others',
    ways: EVERYWHERE,
    async run({ open }) {
      const client = await open()
      const { recipients } = await client.send(
        envelope(['nobody@postern.example', TO, 'later@postern.example']),
        MESSAGE,
      )
      expectEqual(
        recipients.map(({ isAccepted, stage, reply }) => [isAccepted, stage, reply.code, reply.enhancedCode]),
        [
          [false, 'rcpt', 550, '5.1.1'],
          [true, 'final', 250, '2.0.0'],
          [false, 'rcpt', 450, '4.2.1'],
        ],
        'the recipients',
      )
      await client.quit()
    },
  },
  {
    name: 'a message without a recipient is refused, and the connection goes on',
    ways: EVERYWHERE,
    async run({ open }) {
      const client = await open()
      const attempt = client.send(envelope(['nobody@postern.example', 'later@postern.example']), MESSAGE)
      const error = await expectFailure(attempt, { reason: 'refused', stage: 'rcpt', mayBeAccepted: false })
      expectEqual(
        error.recipients.map(({ reply }) => reply.code),
        [550, 450],
        'the recipients',
      )
      const { recipients } = await client.send(envelope(), MESSAGE)
      expectEqual(recipients[0]?.isAccepted, true, 'the next message')
      await client.quit()
    },
  },
  {
    name: 'a refused sender is a permanent failure, and the connection goes on',
    ways: EVERYWHERE,
    async run({ open }) {
      const client = await open()
      const attempt = client.send({ ...envelope(), reversePath: 'banned@sender.example' }, MESSAGE)
      await expectFailure(attempt, {
        reason: 'refused',
        stage: 'mail',
        code: 550,
        enhancedCode: '5.7.1',
        isTemporary: false,
      })
      const { recipients } = await client.send(envelope(), MESSAGE)
      expectEqual(recipients[0]?.isAccepted, true, 'the next message')
      await client.quit()
    },
  },
  {
    name: 'a refused message is a failure of its recipients',
    ways: EVERYWHERE,
    async run({ open }) {
      const client = await open()
      const attempt = client.send({ ...envelope(), reversePath: 'spam@sender.example' }, MESSAGE)
      const error = await expectFailure(attempt, { reason: 'refused', stage: 'final', code: 554, isTemporary: false })
      expectEqual(
        error.recipients.map(({ reply, stage }) => [reply.code, stage]),
        [[554, 'final']],
        'the recipients',
      )
      await client.quit()
    },
  },
  {
    name: 'each recipient has its own reply to the message',
    ways: ['LMTP', 'LMTP over a Unix socket'],
    async run({ open }) {
      const client = await open()
      const { recipients } = await client.send(
        envelope([TO, 'nobody@postern.example', 'full@postern.example']),
        MESSAGE,
      )
      expectEqual(
        recipients.map(({ isAccepted, stage, reply }) => [isAccepted, stage, reply.code]),
        [
          [true, 'final', 250],
          [false, 'rcpt', 550],
          [false, 'final', 452],
        ],
        'the recipients',
      )
      await client.quit()
    },
  },
]
