/** Exit codes of `postern send` and `postern sendmail`: those of sysexits(3), which programs that call sendmail know. */
import type { ClientError } from '@postern/engine/client'
import { errorText, Failure } from '../../host/failure.ts'

export const SYSEXIT = {
  ok: 0,
  usage: 64,
  dataError: 65,
  noInput: 66,
  noUser: 67,
  noHost: 68,
  unavailable: 69,
  software: 70,
  ioError: 74,
  temporaryFailure: 75,
  protocol: 76,
  noPermission: 77,
  config: 78,
} as const

/** Chooses the exit code of a message that nobody got. */
export function exitOf({ isTemporary, reason, stage, code, recipients, cause }: ClientError): number {
  // A later try may end as these did, so they come before what is only temporary.
  if (reason === 'protocol' || reason === 'tls') return SYSEXIT.protocol
  if (stage === 'connect' && isUnknownHost(cause)) return SYSEXIT.noHost
  if (isTemporary) return SYSEXIT.temporaryFailure
  if (reason === 'login' || code === 530 || code === 535) return SYSEXIT.noPermission
  if (reason === 'unsupported' || code === 552) return SYSEXIT.dataError
  if (recipients.length > 0 && recipients.every(({ stage: at }) => at === 'rcpt')) return SYSEXIT.noUser
  return SYSEXIT.unavailable
}

/** Deno has no code for it. */
function isUnknownHost(cause: unknown): boolean {
  const { code, message } = (cause ?? {}) as { readonly code?: unknown; readonly message?: unknown }
  return code === 'ENOTFOUND' || (typeof message === 'string' && message.includes('Name or service not known'))
}

/** Runs a command whose exit codes are those of sysexits(3): another error of the user is a wrong use. */
export async function withSysexits(run: () => Promise<number>): Promise<number> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof Failure && error.exitCode < SYSEXIT.usage) {
      throw new Failure(errorText(error), SYSEXIT.usage, { cause: error })
    }
    throw error
  }
}
