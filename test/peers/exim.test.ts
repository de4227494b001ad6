/** Exim, a real MTA that sends by BDAT: over STARTTLS, in chunks and pipelined, with its own defaults. */
import { chmod, copyFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect } from 'vitest'
import { MiB } from '../corpus/messages.ts'
import { EXIM } from '../kit/abilities.ts'
import { testWith } from '../kit/need.ts'
import { Exim } from './exim.ts'
import { expectKept, type Served, serveClients } from './served.ts'
import { difference, keptFor } from './store.ts'

const FROM = 'ann@sender.example'
let served: Served
let exim: Exim

beforeAll(async () => {
  if (EXIM.missing !== undefined) return
  served = await serveClients(['--debug'])
  // Exim reads it as its own user.
  const caFile = served.scratch.join('exim-ca.pem')
  await copyFile(served.caFile, caFile)
  await chmod(caFile, 0o644)
  exim = await Exim.make(served.scratch, served.smtp, caFile)
})
afterAll(() => served?.[Symbol.asyncDispose]())

function wireLog(): string {
  return JSON.stringify(served.server.log)
}

/** Makes a message with LF for Exim's standard input. Exim adds its own fields above those of the message. */
async function relayed(name: string, to: readonly string[], body: string): Promise<string> {
  const fields = `From: ${FROM}\nTo: ${name}@postern.example\nSubject: ${name}\n`
  await exim.send(FROM, to, Buffer.from(`${fields}\n${body}`, 'latin1'))
  const kept = await keptFor(served.store, to[0] as string)
  expectKept(kept, { by: 'ESMTPS', from: FROM, to })
  const text = kept.bytes.toString('latin1')
  expect(text).toContain(`Subject: ${name}\r\n`)
  return text.slice(text.indexOf('\r\n\r\n') + 4)
}

testWith([EXIM], 'exim sends a message with dots in one chunk', async () => {
  const body = '.\n..\n.dot\n\n.\nend\n'
  expect(await relayed('dots', ['dots@postern.example'], body)).toBe(body.replaceAll('\n', '\r\n'))
  expect(wireLog()).toMatch(/"BDAT \d+ LAST"/)
  expect(wireLog()).not.toContain('"DATA"')
})

testWith([EXIM], 'exim sends 8-bit text to several recipients', async () => {
  const to = ['eight-1@postern.example', 'eight-2@postern.example', 'eight-3@postern.example']
  expect(await relayed('eight', to, 'Gr\xfc\xdfe\n')).toBe('Gr\xfc\xdfe\r\n')
})

testWith([EXIM], 'exim sends 5 MiB in several chunks', async () => {
  const line = 'a line that repeats itself, and begins with a dot now and then\n.\n'
  const body = line.repeat(Math.ceil((5 * MiB) / line.length))
  const got = await relayed('large', ['large@postern.example'], body)
  expect(difference(Buffer.from(got, 'latin1'), Buffer.from(body.replaceAll('\n', '\r\n'), 'latin1'))).toBeUndefined()
  expect(wireLog()).toMatch(/"BDAT \d+"/)
  expect(await exim.log()).toMatch(/ X=TLS1\.[23]:\S+ CV=yes K /)
})
