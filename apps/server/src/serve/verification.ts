/** Opens what `--verify` needs. Nothing of it is loaded otherwise. */
import { randomUUID } from 'node:crypto'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from '@logtape/logtape'
import type { MessageVerification, Overflow } from '@postern/intake/verification'
import type { Settings } from '../config/settings.ts'
import { quarantineOf } from './quarantine.ts'
import { makeResolver } from './resolver.ts'
import { openStore, type StoreAccess } from './store/store.ts'

const CHUNK_BYTES = 64 * 1024

/** @param access How the store of the quarantine is used. @throws Failure */
export async function openVerification(
  settings: Settings,
  log: Logger,
  access: StoreAccess,
): Promise<MessageVerification | undefined> {
  const { hostname, quarantine, trustedSealers, verify, verifyTimeoutMs } = settings.options
  if (verify === 'off') return undefined
  const { createVerifier } = await import('@postern/mail/trust')
  const { createVerification } = await import('@postern/intake/verification')
  const resolver = await makeResolver(settings, {
    purpose: settings.spelled('verify'),
    timeoutMs: verifyTimeoutMs,
    log,
  })
  const failed = (reason: unknown): void => log.error('a check of a message failed by itself', { reason })
  const verifier = createVerifier({ resolver, hostname, timeoutMs: verifyTimeoutMs, trustedSealers, failed })
  return createVerification({
    verifier,
    hostname,
    policy: verify,
    overflow: () => new TemporaryOverflow(),
    ...(quarantine !== undefined && { quarantine: await openStore(quarantineOf(settings), access) }),
  })
}

/** Bytes in a file without a name, so that nothing is left of it when the process dies. */
class TemporaryOverflow implements Overflow {
  #file: Promise<FileHandle> | undefined
  #size = 0

  async write(bytes: Uint8Array): Promise<void> {
    const file = await (this.#file ??= openTemporary())
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await file.write(bytes, at, bytes.length - at, this.#size)
      at += bytesWritten
      this.#size += bytesWritten
    }
  }

  async *read(): AsyncGenerator<Uint8Array, void, undefined> {
    const file = await this.#file
    if (file === undefined) return
    const buffer = new Uint8Array(CHUNK_BYTES)
    for (let at = 0; at < this.#size;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at)
      if (bytesRead === 0) throw new Error('the file of a message that waits for its verdicts is too short')
      at += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  }

  async close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await (await file?.catch(() => undefined))?.close()
  }
}

async function openTemporary(): Promise<FileHandle> {
  const path = join(tmpdir(), `postern-${randomUUID()}`)
  const file = await open(path, 'wx+', 0o600)
  try {
    await unlink(path)
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}
