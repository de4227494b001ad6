/** Another hook may run while the data hook reads. Each has its own time, in whatever order they begin and end. */
import { createServer, type Handlers, type Server } from '@postern/engine'
import { pair } from '@postern/runtime/memory'
import { expect, test } from 'vitest'
import { bytesOf } from '../../packages/engine/test/proxy-encoder.ts'
import { eventually } from '../kit/waiting.ts'

const CHUNK = 'EHLO client.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.com>\r\nBDAT 3\r\nabc'

function never(): Promise<undefined> {
  return new Promise(() => {})
}

function start(handlers: Handlers, hookTimeoutMs: number): { server: Server; errors: string[] } {
  const errors: string[] = []
  const error = (error: unknown): void => void errors.push(String(error))
  const server = createServer({ hostname: 'mx.example.com', limits: { hookTimeoutMs }, ...handlers, error })
  const [client, served] = pair({ lingerMs: 50 })
  void client.write(bytesOf(`${CHUNK}RSET\r\n`))
  void server.accept(served)
  return { server, errors }
}

const LATE = 'HookTimeoutError: timed out: a hook has not answered'

test.each<[string, Handlers, readonly string[]]>([
  [
    'the inner hook runs before the server waits for the outer one',
    {
      async data(message) {
        // The hook reads twice before it waits.
        message.read()
        await Promise.resolve(message.read()).catch(() => {})
        await never()
      },
      reset: () => new Promise((resolve) => setTimeout(resolve, 20)),
    },
    [LATE],
  ],
  [
    'the outer hook answers while the inner one runs',
    {
      async data(message) {
        await message.read()
        void Promise.resolve(message.read()).catch(() => {})
        await new Promise((resolve) => setTimeout(resolve, 20))
      },
      reset: never,
    },
    [LATE],
  ],
  [
    'a thenable answers with another thenable',
    {
      data: (message) => message.bytes().then(() => undefined),
      // oxlint-disable-next-line unicorn/no-thenable
      reset: () => ({ then: (answer: (later: unknown) => void) => answer(never()) }) as Promise<undefined>,
    },
    [LATE],
  ],
])('%s', async (_, handlers, expected) => {
  const { server, errors } = start(handlers, 150)
  await eventually(() => errors.length > 0, 'a hook is late')
  // The deadline ends the session, not the hook.
  await server.close({ graceMs: 0 })
  expect(errors).toEqual(expected)
})

test('a server that stops waits one second for all hooks together', async () => {
  let asked = 0
  const { server } = start(
    {
      async data(message) {
        await message.bytes().catch(() => {})
        await never()
      },
      reset() {
        asked++
        return never()
      },
    },
    30_000,
  )
  await eventually(() => asked === 1, 'both are asked')
  const before = Date.now()
  await server.close({ graceMs: 0 })
  expect(Date.now() - before).toBeLessThan(5_000)
})
