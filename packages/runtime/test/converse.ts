/** The part of SMTP that openssl speaks. Needs no test runner and no certain runtime. */
import type { Duplex } from '@postern/engine'
import { ascii } from '../../../test/contracts/duplex/exchange.ts'

const REPLIES: Readonly<Record<string, string>> = {
  EHLO: '250-localhost\r\n250 STARTTLS\r\n',
  STARTTLS: '220 go ahead\r\n',
  NOOP: '250 still here\r\n',
  QUIT: '221 bye\r\n',
}

/** Serves a connection, until its end. */
export async function converse(duplex: Duplex): Promise<void> {
  try {
    await duplex.write(ascii('220 localhost\r\n'))
    for (let bytes = await duplex.read(); bytes !== null; bytes = await duplex.read()) {
      const verb = new TextDecoder().decode(bytes).trim().split(' ')[0]?.toUpperCase() ?? ''
      const waiting = duplex.write(ascii(REPLIES[verb] ?? '500 what\r\n'))
      if (verb === 'STARTTLS') await duplex.startTls?.()
      else await waiting
      if (verb === 'QUIT') break
    }
    await duplex.end()
  } catch {
    duplex.destroy()
  }
}
