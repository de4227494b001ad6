/**
 * What tests need of this machine besides Node: programs that can do something, rights, file systems.
 *
 * A program is asked for what it can do. Its name in the path is not enough: swaks has no TLS without Net::SSLeay, and some openssl
 * is too old. Each answer is asked for once in a run of the tests.
 */
import { spawnSync, type SpawnSyncReturns } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathOf } from './tool.ts'

/** A program, or another thing that a machine may lack. */
export interface Need {
  /** Says what is missing; undefined if nothing is. */
  readonly missing: string | undefined
}

/** The answers of this run. `test/vitest.config.ts` empties it. */
const ANSWERS = resolve(import.meta.dirname, '../.cache/abilities')
const ANSWER_WITHIN_MS = 20_000

const isRoot = process.getuid?.() === 0

/** Asks once in a run, when a test first wants to know. @param ask Returns what is missing. */
function ability(name: string, ask: () => string | undefined): Need {
  let answer: { readonly missing: string | undefined } | undefined
  return {
    get missing() {
      answer ??= answered(name) ?? written(name, ask())
      return answer.missing
    },
  }
}

function answered(name: string): Need | undefined {
  try {
    return JSON.parse(readFileSync(join(ANSWERS, name), 'utf8')) as Need
  } catch {
    return undefined
  }
}

function written(name: string, missing: string | undefined): Need {
  const answer = { missing }
  mkdirSync(ANSWERS, { recursive: true })
  // Several test files ask at the same time. None of them reads half an answer.
  const unfinished = join(ANSWERS, `.${name}.${process.pid}`)
  writeFileSync(unfinished, JSON.stringify(answer))
  renameSync(unfinished, join(ANSWERS, name))
  return answer
}

function ask(command: string, args: readonly string[], input = ''): SpawnSyncReturns<string> {
  return spawnSync(pathOf(command) ?? command, args, { encoding: 'utf8', input, timeout: ANSWER_WITHIN_MS })
}

/** Returns why a program did not do what it was asked for. */
function whyNot({ error, status, signal, stderr }: SpawnSyncReturns<string>): string {
  if (error !== undefined) return (error as NodeJS.ErrnoException).code ?? error.message
  return stderr.trim().split('\n').at(-1) || `it ended with ${status ?? signal}`
}

/** A program that, when it is run with these arguments, succeeds and says what it is asked for. */
function program(name: string, args: readonly string[], wanted: Readonly<Record<string, RegExp>> = {}): Need {
  return ability([name, ...Object.keys(wanted)].join(' ').replaceAll('/', '_'), () => {
    if (pathOf(name) === undefined) return `${name} is not installed`
    const result = ask(name, args)
    if (result.status !== 0) return `${name} does not run: ${whyNot(result)}`
    const lacking = Object.keys(wanted).filter((what) => !wanted[what]?.test(result.stdout + result.stderr))
    return lacking.length === 0 ? undefined : `${name} has no ${lacking.join(', no ')}`
  })
}

/** Python with these modules of its library. */
function python(...modules: readonly string[]): Need {
  return ability(`python3 ${modules.join(' ')}`, () => {
    if (pathOf('python3') === undefined) return 'python3 is not installed'
    const result = ask('python3', ['-c', `import ${modules.join(', ')}`])
    return result.status === 0 ? undefined : `python3 does not run: ${whyNot(result)}`
  })
}

/** Debian's Python, which finds the packages of Debian. Another in the path would not. */
export const DEBIAN_PYTHON = '/usr/bin/python3'

// Clients

export const CURL: Need = program('curl', ['--version'], { SMTP: /^Protocols:.* smtp\b/m })
export const CURL_TLS: Need = program('curl', ['--version'], {
  'SMTP over TLS': /^Protocols:.* smtps\b/m,
  TLS: /^Features:.* SSL\b/m,
})
/** That says whose connection it is, by the PROXY protocol. */
export const CURL_PROXY: Need = program('curl', ['--help', 'all'], { '--haproxy-protocol': /--haproxy-protocol\b/ })
export const SWAKS: Need = program('swaks', ['--support'], { SMTP: /^=== Basic AUTH supported/m })
export const SWAKS_TLS: Need = program('swaks', ['--support'], { 'TLS (Net::SSLeay)': /^=== TLS supported/m })
export const MSMTP_TLS: Need = program('msmtp', ['--version'], {
  TLS: /^TLS\/SSL library: (?!none)/m,
  'AUTH PLAIN and LOGIN': /^plain .*\blogin\b/m,
})
export const MSMTP_SASL: Need = program('msmtp', ['--version'], {
  TLS: /^TLS\/SSL library: (?!none)/m,
  'AUTH SCRAM-SHA-256, CRAM-MD5, OAUTHBEARER and XOAUTH2':
    /^plain .*\bscram-sha-256 .*\bcram-md5 .*\boauthbearer xoauth2\b/m,
})
export const GSASL: Need = program('gsasl', ['--client-mechanisms'], {
  'SCRAM-SHA-256-PLUS': /\bSCRAM-SHA-256-PLUS\b/,
})
/** A client for TLS 1.2 and 1.3, also after STARTTLS. */
export const OPENSSL: Need = program('openssl', ['s_client', '-help'], {
  'STARTTLS for SMTP': /-starttls\b/,
  'TLS 1.2': /-tls1_2\b/,
  'TLS 1.3': /-tls1_3\b/,
  'name for STARTTLS': /-name\b/,
})
export const PYTHON: Need = python('mailbox', 'hashlib', 'json', 'base64')
export const PYTHON_SMTP: Need = python('smtplib', 'ssl', 'json')
export const PYTHON_IMAP: Need = python('imaplib', 'json')
/** Python that can call the kernel: to start a program behind a filter. */
export const PYTHON_FILTER: Need = ability('python3 filter', () => {
  if (process.arch !== 'x64' || process.platform !== 'linux') return 'the filter is for Linux on x64'
  return python('ctypes').missing
})

// Servers and readers

export const HAPROXY: Need = program('haproxy', ['-vv'], { TLS: /\+OPENSSL\b|USE_OPENSSL=1/ })
/** nats-server with JetStream. */
export const NATS: Need = program('nats-server', ['--help'], { JetStream: /--jetstream\b/ })
export const STRACE: Need = program('strace', ['-f', '-e', 'trace=fsync', 'true'])
export const GIT: Need = program('git', ['--version'])
export const MUTT: Need = program('mutt', ['-v'])
export const PHP: Need = program('php', ['-r', 'exit(function_exists("mail") ? 0 : 1);'])
/** `script` of util-linux, which makes a terminal. */
export const TERMINAL: Need = program('script', ['-qec', 'echo a terminal', '/dev/null'], {
  terminal: /^a terminal\r\n/,
})
export const BASH: Need = program('bash', ['-c', 'true'])
export const ZSH: Need = program('zsh', ['-c', 'true'])
export const FISH: Need = program('fish', ['-c', 'true'])
/** A device that is always full. */
export const FULL: Need = { missing: existsSync('/dev/full') ? undefined : 'there is no /dev/full' }

// Verifiers of signatures

/** dkimpy, with the library for Ed25519. */
export const DKIMPY: Need = ability('dkimpy', () => {
  const result = ask(DEBIAN_PYTHON, ['-c', 'import dkim, nacl.signing'])
  return result.status === 0 ? undefined : `python3-dkim is not installed: ${whyNot(result)}`
})
/** Verifies a message, and compares a key with its record. They ask the DNS server of /etc/resolv.conf. */
export const OPENDKIM: Need = ability('opendkim', () => {
  const lacking = ['opendkim-testmsg', 'opendkim-testkey'].filter((name) => pathOf(name) === undefined)
  return lacking.length === 0 ? undefined : `${lacking.join(', ')} is not installed`
})

/** Signs what Postfix sends. */
export const OPENDKIM_DAEMON: Need = ability('opendkim daemon', () => {
  if (pathOf('opendkim') === undefined) return 'opendkim is not installed'
  return ask('opendkim', ['-V']).stdout.includes('ed25519-sha256') ? undefined : 'this opendkim does not know Ed25519'
})

/** Where `.ci/run` unpacks the test suite of RFC 7208. */
export const SPF_SUITE_FILE: string = resolve(
  import.meta.dirname,
  '../.cache/spf/usr/share/doc/python3-spf/rfc7208-tests.yml.gz',
)
/** The suite, and a reader of YAML. */
export const SPF_SUITE: Need = ability('spf suite', () => {
  if (!existsSync(SPF_SUITE_FILE)) return 'python3-spf is not unpacked in test/.cache/spf (see .ci/run)'
  const result = ask(DEBIAN_PYTHON, ['-c', 'import yaml'])
  return result.status === 0 ? undefined : `python3-yaml is not installed: ${whyNot(result)}`
})

// Rights

/** Root's rights: to mount, to start an MTA. */
export const ROOT: Need = { missing: isRoot ? undefined : 'needs root' }

/** To start a program as another user. */
export const OTHER_USER: Need = ability('other user', () => {
  if (!isRoot) return ROOT.missing
  const result = ask('setpriv', ['--reuid', '12345', '--regid', '12345', '--clear-groups', 'true'])
  return result.status === 0 ? undefined : `setpriv can not become another user: ${whyNot(result)}`
})

/** To give a program file systems, processes and a host name of its own. Containers often forbid it. */
export const NAMESPACES: Need = ability('namespaces', () => {
  if (!isRoot) return ROOT.missing
  const script = 'echo own > /proc/sys/kernel/hostname && umount -l /proc'
  const result = ask('unshare', ['-m', '-u', '--pid', '--fork', '--kill-child', 'sh', '-c', script])
  return result.status === 0 ? undefined : `unshare makes no namespaces: ${whyNot(result)}`
})

/** To mount a small file system. Root alone is not enough: a container may forbid it. */
export const TMPFS: Need = ability('tmpfs', () => {
  if (!isRoot) return ROOT.missing
  const directory = mkdtempSync(join(tmpdir(), 'postern-test-'))
  try {
    const mounted = ask('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory])
    if (mounted.status !== 0) return `no tmpfs can be mounted: ${whyNot(mounted)}`
    const left = ask('umount', [directory])
    return left.status === 0 ? undefined : `a tmpfs can not be unmounted: ${whyNot(left)}`
  } finally {
    rmdirSync(directory)
  }
})

/** Postfix as our configuration needs it: with TLS and its own user and group. It is started as root. */
export const POSTFIX: Need = ability('postfix', () => {
  if (!isRoot) return ROOT.missing
  const lacking = ['postfix', 'postconf', 'postqueue', 'sendmail'].filter((name) => pathOf(name) === undefined)
  if (lacking.length > 0) return `${lacking.join(', ')} is not installed`
  const built = ask('postconf', ['-T', 'compile-version'])
  if (built.status !== 0 || built.stdout.trim() === '') return `postfix has no TLS: ${whyNot(built)}`
  if (ask('id', ['-u', 'postfix']).status !== 0) return 'there is no user called postfix'
  return undefined
})

/** Dovecot of the release that our configurations are written for, with one of its servers. */
function dovecotWith(server: string): string | undefined {
  if (!isRoot) return ROOT.missing
  if (pathOf('dovecot') === undefined) return 'dovecot is not installed'
  const { stdout } = ask('dovecot', ['--version'])
  if (!stdout.startsWith('2.3.')) return `the configuration is for dovecot 2.3, not for ${stdout.trim() || 'another'}`
  const folder = /^libexec_dir = (.*)$/m.exec(ask('dovecot', ['-a', '-c', '/dev/null']).stdout)?.[1] ?? ''
  return pathOf(join(folder, server)) === undefined ? `dovecot has no ${server} server` : undefined
}

/** Its IMAP server, and Python to ask it. */
export const DOVECOT: Need = ability('dovecot', () => dovecotWith('imap') ?? PYTHON_IMAP.missing)
export const DOVECOT_LMTP: Need = ability('dovecot lmtp', () => dovecotWith('lmtp'))

/** Where `.ci/run` unpacks Exim. */
export const EXIM_PROGRAM: string = resolve(import.meta.dirname, '../.cache/exim/usr/sbin/exim4')
/** This user is compiled into Debian's Exim, which does not start without it. */
export const EXIM_USER = 'Debian-exim'

export const EXIM: Need = ability('exim', () => {
  if (!isRoot) return ROOT.missing
  if (pathOf(EXIM_PROGRAM) === undefined) return 'exim is not unpacked in test/.cache/exim (see .ci/run)'
  if (ask('id', ['-u', EXIM_USER]).status !== 0) return `there is no user called ${EXIM_USER}`
  const built = ask(EXIM_PROGRAM, ['-C', '/dev/null', '-bV'])
  if (!/^Support for:.* (GnuTLS|OpenSSL)\b/m.test(built.stdout)) return `exim has no TLS: ${whyNot(built)}`
  return undefined
})

/** Where `.ci/run` unpacks OpenSMTPD. */
export const OPENSMTPD_ROOT: string = resolve(import.meta.dirname, '../.cache/opensmtpd')

export const OPENSMTPD: Need = ability('opensmtpd', () => {
  const smtpd = join(OPENSMTPD_ROOT, 'usr/sbin/smtpd')
  if (pathOf(smtpd) === undefined) return 'opensmtpd is not unpacked in test/.cache/opensmtpd (see .ci/run)'
  // It needs an existing directory for its helpers.
  if (!existsSync('/usr/libexec')) return 'there is no /usr/libexec'
  const usage = ask(smtpd, ['-h'])
  return usage.stderr.includes('OpenSMTPD') || usage.stdout.includes('OpenSMTPD') ? NAMESPACES.missing : whyNot(usage)
})

/** Debian's cron, with a spool and a sendmail that only it sees. */
export const CRON: Need = ability('cron', () => {
  if (pathOf('cron') === undefined) return 'cron is not installed'
  if (!existsSync('/usr/sbin/sendmail')) return 'there is no /usr/sbin/sendmail that ours can stand for'
  return NAMESPACES.missing
})

export const AIOSMTPD: Need = ability('aiosmtpd', () => {
  const result = ask(DEBIAN_PYTHON, ['-c', 'import aiosmtpd.smtp'])
  return result.status === 0 ? undefined : `python3-aiosmtpd is not installed: ${whyNot(result)}`
})

export const SWIFT: Need = ability('swift', () => {
  const modules = ['swift.proxy.server', 'swift.account.server', 'swift.common.middleware.s3api.s3api']
  const result = ask(DEBIAN_PYTHON, ['-c', `import ${modules.join(', ')}`])
  return result.status === 0 ? undefined : `python3-swift is not installed: ${whyNot(result)}`
})

// Readers of delivery status notifications

export const FLUFL: Need = ability('flufl.bounce', () => {
  const result = ask(DEBIAN_PYTHON, ['-c', 'import flufl.bounce'])
  return result.status === 0 ? undefined : `python3-flufl.bounce is not installed: ${whyNot(result)}`
})
export const PERL_BOUNCES: Need = ability('perl bounces', () => {
  const result = ask('perl', ['-MMail::DeliveryStatus::BounceParser', '-e', '1'])
  return result.status === 0
    ? undefined
    : `libmail-deliverystatus-bounceparser-perl is not installed: ${whyNot(result)}`
})
