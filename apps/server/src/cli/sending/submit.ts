/** Hands one message to a server, and reports what became of it. */
import { readFileSync } from 'node:fs'
import process from 'node:process'
import {
  type Client,
  ClientError,
  type ClientCredentials,
  type OutgoingEnvelope,
  type OutgoingMessage,
  parseServerUrl,
  type RecipientOutcome,
  type ServerReply,
} from '@postern/engine/client'
import { PASSWORD_VARIABLE } from '../../config/settings.ts'
import { formatSize } from '../../config/values/quantity.ts'
import { errorText, Failure, unreadable } from '../../host/failure.ts'
import { complain, print, printJson } from '../../host/output.ts'
import { variable } from '../../host/permission.ts'
import { Prompt } from '../../host/prompt.ts'
import { loadRuntime } from '../../host/runtime.ts'
import { isTerminal } from '../../host/terminal.ts'
import { exitOf, SYSEXIT } from './sysexits.ts'

export interface ServerFlags {
  /** Its URL. */
  readonly submitTo: string
  readonly hostname: string
  readonly user?: string
  readonly ca?: string
  readonly insecure?: boolean
  /** Writes both sides of the session to standard error. */
  readonly verbose?: boolean
}

export interface Report {
  readonly json?: boolean
  /** Says nothing about success. */
  readonly quiet?: boolean
}

/** Connects and logs in. @throws ClientError, Failure if a flag is wrong */
export async function connectTo(flags: ServerFlags): Promise<Client> {
  const { submitTo, hostname, ca, insecure, verbose = false } = flags
  const { connect } = await loadRuntime()
  const credentials = await credentialsOf(flags, parseServerUrl(submitTo).credentials)
  return connect(submitTo, {
    hostname,
    ...(credentials !== undefined && { credentials }),
    ...((ca !== undefined || insecure === true) && {
      tls: { ...(ca !== undefined && { ca: readCa(ca) }), ...(insecure === true && { verify: false }) },
    }),
    ...(verbose && { trace: ({ side, text }) => tellLine(side, text) }),
  })
}

/** Sends the message, and says what the server said. Returns the exit code. */
export async function submit(
  flags: ServerFlags,
  envelope: OutgoingEnvelope,
  message: OutgoingMessage,
  report: Report,
): Promise<number> {
  const progress = new BytesShown(report)
  try {
    const client = await connectTo(flags)
    try {
      const { recipients, reply } = await client.send(envelope, message, {
        onProgress: (octets) => progress.show(octets),
      })
      progress.clear()
      await tell(recipients, reply, undefined, report)
      const refused = recipients.filter(({ isAccepted }) => !isAccepted)
      if (refused.length === 0) return SYSEXIT.ok
      return refused.every(({ reply: { code } }) => code < 500) ? SYSEXIT.temporaryFailure : SYSEXIT.noUser
    } finally {
      await client.quit().catch(() => {})
    }
  } catch (error) {
    progress.clear()
    if (!(error instanceof ClientError)) throw error
    await tell(error.recipients, error.reply, error, report)
    return exitOf(error)
  }
}

async function tell(
  recipients: readonly RecipientOutcome[],
  reply: ServerReply | undefined,
  error: ClientError | undefined,
  { json = false, quiet = false }: Report,
): Promise<void> {
  if (json) {
    const { reason, stage, isTemporary, mayBeAccepted, message } = error ?? {}
    await printJson({
      recipients: recipients.map(({ address, isAccepted, stage: at, reply: said }) => ({
        address,
        isAccepted,
        stage: at,
        ...replyFields(said),
      })),
      ...(reply !== undefined && { reply: replyFields(reply) }),
      ...(error !== undefined && { error: { reason, stage, isTemporary, mayBeAccepted, message } }),
    })
    return
  }
  for (const { address, isAccepted, reply: said } of recipients) {
    if (!isAccepted) complain(`<${address}> was refused: ${textOf(said)}`)
  }
  const accepted = recipients.filter(({ isAccepted }) => isAccepted).map(({ address }) => `<${address}>`)
  // What each recipient was told is enough.
  const isTold = error?.reason === 'refused' && error.stage === 'rcpt' && recipients.length > 0
  if (error !== undefined && !isTold) complain(`${errorText(error)}${adviceFor(error)}`)
  else if (!quiet && reply !== undefined) await print(`sent to ${accepted.join(', ')}: ${textOf(reply)}\n`)
}

/** Names the flags for a server whose certificate is not trusted. */
function adviceFor({ reason, message }: ClientError): string {
  return reason === 'tls' && message.includes('certificate')
    ? '; --ca FILE names the authority of its certificate, and --insecure trusts any'
    : ''
}

function replyFields({ code, enhancedCode, text }: ServerReply): Readonly<Record<string, unknown>> {
  return { code, enhancedCode, text }
}

function textOf({ code, enhancedCode, text }: ServerReply): string {
  return [code, enhancedCode, text].filter((part) => part !== '').join(' ')
}

async function credentialsOf(
  { user }: ServerFlags,
  ofUrl: ClientCredentials | undefined,
): Promise<ClientCredentials | undefined> {
  if (user === undefined) return ofUrl
  const known = variable(PASSWORD_VARIABLE) ?? ofUrl?.password
  if (known !== undefined) return { username: user, password: known }
  if (!isTerminal(process.stdin)) {
    throw new Failure(`--user: set ${PASSWORD_VARIABLE} to its password, or type it on a terminal`, SYSEXIT.usage)
  }
  const prompt = new Prompt('send')
  try {
    return { username: user, password: await prompt.ask(`Password of ${user}: `) }
  } finally {
    prompt.close()
  }
}

function readCa(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw unreadable(`--ca: ${path}`, error)
  }
}

function tellLine(side: 'client' | 'server', text: string): void {
  process.stderr.write(`${side === 'client' ? '>>>' : '<<<'} ${text}\n`)
}

/** Shows on a terminal how much of a long message is sent. */
class BytesShown {
  readonly #isShown: boolean
  readonly #since: number = performance.now()
  #nextMs: number = performance.now() + 1_000
  #isOnScreen = false

  constructor({ json = false, quiet = false }: Report) {
    this.#isShown = !json && !quiet && isTerminal(process.stderr)
  }

  show(octets: number): void {
    const now = performance.now()
    if (!this.#isShown || now < this.#nextMs) return
    this.#nextMs = now + 250
    const rate = Math.round(octets / ((now - this.#since) / 1000))
    process.stderr.write(`\r\u001b[K${formatSize(octets)} sent, ${formatSize(rate)} a second`)
    this.#isOnScreen = true
  }

  clear(): void {
    if (this.#isOnScreen) process.stderr.write('\r\u001b[K')
    this.#isOnScreen = false
  }
}
