/** Runs the program of the README. Only its port and directory are changed. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Listener, Server } from '@postern/engine'
import { mailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { createTransport } from 'nodemailer'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../kit/directory.ts'

const root = resolve(import.meta.dirname, '../..')

test('the program of the README accepts mail and refuses the recipients that it says', async () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const program = /## In your own program\s+```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
  const directory = temporaryDirectory()
  const file = join(import.meta.dirname, `.readme-${process.pid}.ts`)
  const source = program
    .replace('const server', 'export const server')
    .replace(`'./mail'`, JSON.stringify(directory))
    .replace(
      'await listen(server, { port: 2525 })',
      `export const listener = await listen(server, { port: 0, host: '127.0.0.1' })`,
    )
  writeFileSync(file, source)
  try {
    const { server, listener } = (await import(pathToFileURL(file).href)) as { server: Server; listener: Listener }
    const transport = createTransport({ host: '127.0.0.1', port: listener.address.port, ignoreTLS: true })
    const envelope = { from: 'a@b.example', to: ['c@example.com', 'd@elsewhere.example'] }
    const sent = await transport.sendMail({ envelope, raw: 'Subject: README\r\n\r\nAs it stands there.\r\n' })
    expect(sent.accepted).toEqual(['c@example.com'])
    expect(sent.rejectedErrors?.[0]?.response).toBe('550 5.7.1 Relaying denied')
    transport.close()
    await listener.close()
    await server.close()
    const { records } = await mailStore(fs(directory)).list()
    expect(records.map((record) => record.forwardPaths.map((path) => path.address))).toEqual([['c@example.com']])
  } finally {
    rmSync(file)
  }
})
