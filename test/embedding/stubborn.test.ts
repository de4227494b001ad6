/** With a transport that never closes by itself, the session still ends and gives its place back. */
import { createServer, type Duplex, type Limits } from '@postern/engine'
import { expect, test } from 'vitest'

const NOWHERE = { family: 'unknown', address: '', port: 0 } as const

/** A duplex that gives `text`, then nothing. It accepts all bytes. `end` and reads stay pending until it is destroyed. */
function stubborn(text: string): { duplex: Duplex; heard: () => string; reason: () => Error | undefined } {
  let said = false
  let heard = ''
  let reason: Error | undefined
  const ends: ((error: Error) => void)[] = []
  const pending = <T>(): Promise<T> => new Promise((_, reject) => ends.push(reject))
  const duplex: Duplex = {
    read() {
      if (said) return pending()
      said = true
      return new TextEncoder().encode(text)
    },
    write(bytes) {
      heard += new TextDecoder().decode(bytes)
    },
    end: () => pending(),
    destroy(why) {
      reason ??= why ?? new Error('destroyed')
      for (const end of ends) end(reason)
    },
    remote: NOWHERE,
    local: NOWHERE,
  }
  return { duplex, heard: () => heard, reason: () => reason }
}

test.each<[string, string, Partial<Limits>, string]>([
  ['a connection that does not close is destroyed when it is idle', 'NOOP\r\n', { idleTimeoutMs: 50 }, '421 4.4.2'],
  ['a connection that does not close is destroyed after QUIT', 'QUIT\r\n', { idleTimeoutMs: 50 }, '221 2.0.0'],
  [
    'a connection that does not close is destroyed at the end of the session time',
    'NOOP\r\n',
    { idleTimeoutMs: 200, sessionTimeoutMs: 50 },
    '421 4.4.2',
  ],
])('%s', async (_, text, limits, last) => {
  const server = createServer({ hostname: 'mx.example.com', limits })
  const { duplex, heard, reason } = stubborn(text)
  await server.accept(duplex)
  expect(heard()).toMatch(new RegExp(`\\r\\n${last} [^\\r]*\\r\\n$`))
  expect(reason()).toBeDefined()
  expect(server.sessionCount).toBe(0)
})

test('the client still gets the last reply if a hook runs longer than the session', async () => {
  const limits = { idleTimeoutMs: 300, sessionTimeoutMs: 50 }
  const server = createServer({ hostname: 'mx.example.com', limits, verify: () => new Promise(() => {}) })
  const { duplex, heard, reason } = stubborn('VRFY someone\r\n')
  let wasCutShort: boolean | undefined
  const end = duplex.end
  duplex.end = async () => {
    await new Promise((resolve) => setTimeout(resolve, 100))
    wasCutShort = reason() !== undefined
    return end()
  }
  await server.accept(duplex)
  expect(heard()).toMatch(/\r\n421 4\.4\.2 [^\r]*\r\n$/)
  expect(wasCutShort).toBe(false)
})
