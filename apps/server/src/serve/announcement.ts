/** Makes the text that `postern serve` writes to standard output: a start block, then a line for each message. */
import { resolve } from 'node:path'
import type { MailRecord } from '@postern/storage'
import { ANY_DOMAIN } from '@postern/intake/guards'
import { VERSION } from '../host/version.ts'
import { invocation, quote } from '../host/invocation.ts'
import type { ListenAddress } from '../config/urls/listen-url.ts'
import type { Bound } from './listening.ts'
import { type Options } from '../config/options.ts'
import { hasTls } from '../config/options/tls.ts'
import { canAuthenticate } from '../config/options/users.ts'
import { isAuthRequired, isTlsRequired, proxiesFor } from '../config/urls/listener-policy.ts'
import { isTrustedProxy } from '../config/urls/proxies.ts'
import { formatQuantity, formatSize } from '../config/values/quantity.ts'
import type { Settings } from '../config/settings.ts'
import { creationOf } from './store/store.ts'
import { isDirectory, isUrl, storeName } from '../config/urls/store-url.ts'
import { safe, table } from '../host/terminal.ts'

/** Makes the start block of `postern serve`. Its commands can be copied and run. */
export function announcement(settings: Settings, bound: readonly Bound[]): string {
  const { options } = settings
  const facts = [
    ...bound.map((one, i) => [i === 0 ? 'Addresses' : '', `${boundUrl(one)}${policyText(one.given, options)}`]),
    ['Store', storeText(options)],
    ...keepsRows(options),
    ['Hostname', options.hostname],
    ...domainRows(settings),
    ...(options.acceptAnyLogin === 'no' ? [] : [['Logins', 'EVERY name and password is accepted']]),
    ...(options.user === undefined ? [] : [['User', options.user]]),
    ...(options.workers === 1 ? [] : [['Workers', String(options.workers)]]),
    ...(settings.file === undefined ? [] : [['Config', settings.file]]),
    ...(options.selfSigned ? [['TLS', 'a self-signed certificate, for this run only']] : []),
  ]
  const [first] = bound
    .filter(({ given, at }) => given.pipePath === undefined && at.address !== '')
    .toSorted((one, other) => difficulty(one.given) - difficulty(other.given))
  const commands = first === undefined ? '' : sendCommands(first, options, firstRecipient(settings))
  return [
    `Postern ${VERSION} receives mail.\n`,
    indented(table(facts)),
    ...(commands === '' ? [] : ['Send a first message:\n', indented(commands)]),
    'List the stored mail:\n',
    indented(listCommand(settings)),
    'Stop with Ctrl-C.\n\n',
  ].join('')
}

/** Makes the start block of `postern front`. */
export function frontAnnouncement(settings: Settings, bound: readonly Bound[], to: string): string {
  const { options } = settings
  const facts = [
    ...bound.map((one, i) => [i === 0 ? 'Addresses' : '', `${boundUrl(one)}${policyText(one.given, options)}`]),
    ['To', to],
    ...(options.user === undefined ? [] : [['User', options.user]]),
    ...(settings.file === undefined ? [] : [['Config', settings.file]]),
    ...(options.selfSigned ? [['TLS', 'a self-signed certificate, for this run only']] : []),
  ]
  return `Postern ${VERSION} pipes connections to a server.\n${indented(table(facts))}Stop with Ctrl-C.\n\n`
}

const MAX_RECIPIENTS_SHOWN = 3
const MAX_NAME_LENGTH = 1_000

/** Makes the line for one message: id, sender, recipients, size, transmission type. */
export function keptLine({ id, reversePath, forwardPaths, size, session }: MailRecord): string {
  const to = forwardPaths.slice(0, MAX_RECIPIENTS_SHOWN).map((path) => `<${shortened(path.address)}>`)
  const more = forwardPaths.length > to.length ? ` and ${forwardPaths.length - to.length} more` : ''
  const by = session.user === undefined ? '' : ` by ${shortened(session.user)}`
  const from = `<${shortened(reversePath.address)}>`
  return `${safe(`kept ${id} from ${from} to ${to.join(', ')}${more}, ${formatSize(size)}, ${session.transmissionType}${by}`)}\n`
}

function shortened(name: string): string {
  return name.length > MAX_NAME_LENGTH ? `${name.slice(0, MAX_NAME_LENGTH)}…` : name
}

/** Makes the end of the line `Stopping`. */
export function waitingText(sessionCount: number, graceMs: number): string {
  if (sessionCount === 0) return '.'
  const sessions = sessionCount === 1 ? 'one session' : `${sessionCount} sessions`
  return `: mail in progress in ${sessions} may take ${Math.ceil(graceMs / 1000)} s more. Ctrl-C again stops at once.`
}

/** Makes the URL of an address, with its real port. */
export function boundUrl({ given, at }: Bound): string {
  // The path of a Unix socket that systemd has made may be unknown.
  if (given.socket !== undefined && at.address === '') return given.url
  if (at.family === 'unix') return `${given.scheme}+unix:${at.address}`
  return `${given.scheme}://${hostText(at.address)}:${at.port}${given.pipePath ?? ''}`
}

function policyText(given: ListenAddress, options: Options): string {
  const { implicitTls, pipePath, policy, socket } = given
  const words = []
  if (socket !== undefined) words.push('a socket of systemd')
  if (pipePath !== undefined) words.push('for fronts')
  else if (implicitTls) words.push('TLS from the first byte')
  else if (isTlsRequired(given, options)) words.push('TLS required')
  else if (policy.tls === 'off') words.push('no TLS')
  else if (hasTls(options)) words.push('STARTTLS offered')
  if (pipePath === undefined && isAuthRequired(given, options)) words.push('AUTH required')
  else if (policy.auth === 'off') words.push('no AUTH')
  // An option of the whole server is not listed for each address.
  if (policy.addresses !== undefined) words.push(`${policy.addresses} addresses`)
  if (policy.proxy !== undefined) {
    words.push(policy.proxy.length === 0 ? 'no PROXY header' : `PROXY header from ${policy.proxy.join(', ')}`)
  }
  if (policy.maxMessageBytes !== undefined) {
    words.push(`messages up to ${formatQuantity(policy.maxMessageBytes, 'bytes')}`)
  }
  if (policy.mode !== undefined) words.push(`permissions 0${policy.mode.toString(8).padStart(3, '0')}`)
  return words.length === 0 ? '' : ` (${words.join(', ')})`
}

/** Orders listeners for the commands of the start block: a client of SMTP needs the least. */
function difficulty({ protocol, submission }: ListenAddress): number {
  return Number(submission) + (protocol === 'lmtp' ? 2 : 0)
}

function storeText({ store }: Options): string {
  if (!isUrl(store)) return storeName(store)
  if (isDirectory(store)) return `${store.url} (${resolve(store.path)})`
  return store.scheme === 'memory' ? `${store.url} (lost when the server stops)` : store.url
}

/** Describes the retention limits. Returns undefined if there are none. */
export function keepsText({ keepAgeMs, keepCount, keepBytes }: Options): string | undefined {
  const limits = [
    ...(keepCount === Infinity ? [] : [`${keepCount} ${keepCount === 1 ? 'message' : 'messages'}`]),
    ...(keepBytes === Infinity ? [] : [formatQuantity(keepBytes, 'bytes')]),
    ...(keepAgeMs === Infinity ? [] : [`${formatQuantity(keepAgeMs, 'time')} old`]),
  ]
  return limits.length === 0 ? undefined : `the newest mail, up to ${limits.join(' and ')}; older mail is removed`
}

function keepsRows(options: Options): string[][] {
  const text = keepsText(options)
  return text === undefined ? [] : [['Keeps', text]]
}

function sendCommands({ given, at }: Bound, options: Options, to: string): string {
  const needsAuth = isAuthRequired(given, options) && canAuthenticate(options)
  const needsTls = isTlsRequired(given, options) || (needsAuth && !options.authWithoutTls)
  const user = options.users[0]?.name ?? 'NAME'
  const isUnix = at.family === 'unix'
  const host = reachable(given, at.address)
  const isIpv6 = host.includes(':')
  const isProxied =
    !isUnix && isTrustedProxy(proxiesFor(given, options), { family: isIpv6 ? 'ipv6' : 'ipv4', address: host })

  const swaks = ['swaks', ...(isUnix ? ['--socket', quote(at.address)] : ['--server', host, '--port', String(at.port)])]
  if (given.implicitTls) swaks.push('--tls-on-connect')
  else if (needsTls) swaks.push('--tls')
  if (needsAuth) swaks.push('--auth', 'PLAIN', '--auth-user', quote(user))
  const isLmtp = given.protocol === 'lmtp'
  if (isLmtp) swaks.push('--protocol LMTP')
  swaks.push('--helo localhost --from me@example.com', '--to', to)

  const scheme = given.implicitTls ? 'smtps' : 'smtp'
  const curl = ["printf 'Subject: Hello\\r\\n\\r\\nHello!\\r\\n' | curl -sS"]
  if (isUnix) curl.push('--unix-socket', quote(at.address), `${scheme}://localhost/localhost`)
  else curl.push(`${scheme}://${hostText(host)}:${at.port}/localhost`)
  if (needsTls && !given.implicitTls) curl.push('--ssl-reqd')
  if (options.selfSigned && (needsTls || given.implicitTls)) curl.push('--insecure')
  if (needsAuth) curl.push('--user', quote(user))
  if (isProxied) curl.push('--haproxy-protocol')
  curl.push('--mail-from me@example.com --mail-rcpt', to, '--upload-file -')
  // swaks cannot send a PROXY header, which a trusted address must send, and has IPv6 only on some machines.
  const commands = [...(isProxied || isIpv6 ? [] : [swaks]), ...(isLmtp ? [] : [curl])]
  return commands.map((words) => `${words.join(' ')}\n`).join('')
}

/**
 * Makes the rows about domains. There are none if the user's hook or the existing mailboxes decide which recipients are
 * accepted.
 */
function domainRows(settings: Settings): string[][] {
  const { accounts, domains, guards, handlers } = settings.options
  if (typeof accounts === 'string') return [['Accounts', accounts]]
  if (domains?.includes(ANY_DOMAIN) === false) return [['Domains', domains.join(', ')]]
  if ([handlers, ...guards].some(({ rcpt }) => rcpt !== undefined) || hasOwnMailboxes(settings)) return []
  return [
    ['Domains', domains === undefined ? 'mail for every domain is accepted; give --domains to name yours' : 'all'],
  ]
}

/** Returns a recipient that the server accepts. With Maildirs only the postmaster is certain. */
function firstRecipient(settings: Settings): string {
  if (hasOwnMailboxes(settings) || typeof settings.options.accounts === 'string') return 'postmaster'
  const [domain = ANY_DOMAIN] = settings.options.domains ?? []
  return `you@${domain === ANY_DOMAIN ? 'example.com' : domain.replace(ANY_DOMAIN, 'mail')}`
}

/** Returns whether the store refuses recipients without a mailbox. */
function hasOwnMailboxes(settings: Settings): boolean {
  const { store } = settings.options
  return isUrl(store) && store.scheme === 'maildir' && creationOf(store, settings) !== 'any'
}

function listCommand(settings: Settings): string {
  const { store } = settings.options
  if (isUrl(store) && store.scheme === 'memory')
    return '(not possible: memory: exists only in this process; give an fs: store)\n'
  const words = [invocation(), 'list']
  // The file may hold more than the store's name: the credentials of a bucket, or the store itself.
  if (settings.file !== undefined && settings.isFileNamed) words.push('--config', quote(settings.file))
  // A variable may be set for this process only.
  const isFound = ['default', 'file'].includes(settings.origin('store'))
  if (isUrl(store) && !isFound) words.push('--store', quote(store.url))
  return `${words.join(' ')}\n`
}

/** Returns an address to connect to. If the server listens on every address, returns the loopback address. */
function reachable(given: ListenAddress, address: string): string {
  if (address === '0.0.0.0' || (address === '::' && given.host === undefined)) return '127.0.0.1'
  return address === '::' ? '::1' : address
}

function hostText(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}

function indented(text: string): string {
  return `${text.replace(/^(?=.)/gm, '  ')}\n`
}
