/** What options mean together: combinations that can't be, refused before anything listens. */
import { Failure } from '../host/failure.ts'
import { isExposed } from './urls/pipe-url.ts'
import type { Options } from './options/options.ts'
import type { Settings } from './settings.ts'

const CERTIFICATE = 'a certificate: give --tls-key and --tls-cert, or --self-signed'
const USERS = 'someone who may send: give --users'

/** Whether there is a certificate, from files or made for the run. */
export function hasTls({ tlsCert, selfSigned }: Options): boolean {
  return selfSigned || tlsCert !== undefined
}

/** Whether anybody could log in. */
export function canAuthenticate({ users, handlers }: Options): boolean {
  return users.length > 0 || handlers.authenticate !== undefined
}

/** @throws Failure on options of `postern serve` that contradict each other, or that need another one. */
export function checkTogether(settings: Settings): void {
  const { options, spelled } = settings
  checkCertificate(settings)
  const pipe = options.listen.find(({ pipePath }) => pipePath !== undefined)
  if (pipe !== undefined && options.frontSecret.length === 0) {
    throw needs(`${spelled('listen')} ${pipe.url}`, 'what its fronts sign with: give --front-secret')
  }
  if (!hasTls(options)) checkWithoutTls(settings)
  if (!canAuthenticate(options)) checkWithoutUsers(settings)
  if (options.proxyFrom.length > 0 && options.listen.every(({ path, pipePath }) => (path ?? pipePath) !== undefined)) {
    throw needs(spelled('proxyFrom'), 'an address that is listened on by TCP: give --listen smtp://…')
  }
  if (options.workers > 1 && 'scheme' in options.store && options.store.scheme === 'memory') {
    throw needs(spelled('workers'), 'a store that all workers see, such as fs:./mail; memory: is in one of them alone')
  }
  const names = options.users.map(({ name }) => name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined)
    throw new Failure(`${spelled('users')}: ${JSON.stringify(twice)} is there twice; leave one out`)
}

/** As {@link checkTogether}, for `postern front`. @returns where it pipes to. */
export function checkFront(settings: Settings): string {
  const { options, spelled } = settings
  checkCertificate(settings)
  const { to, listen } = options
  if (to === undefined) throw needs(spelled('to'), 'the server behind the front: give --to wss://HOST/PATH')
  if (options.frontSecret.length === 0) {
    throw needs(spelled('to'), 'what the server knows this front by: give --front-secret')
  }
  if (isExposed(to) && !options.toWithoutTls) {
    throw needs(
      `${spelled('to')} ${to}`,
      'TLS: give a wss:// URL; mail in clear between two machines takes --to-without-tls',
    )
  }
  const pipe = listen.find(({ pipePath }) => pipePath !== undefined)
  if (pipe !== undefined) {
    throw new Failure(`${spelled('listen')} ${pipe.url}: is for a server; a front takes smtp://, smtps:// and the like`)
  }
  const secure = listen.find(({ implicitTls, submission }) => implicitTls || submission)
  if (secure !== undefined && !hasTls(options)) throw needs(`${spelled('listen')} ${secure.url}`, CERTIFICATE)
  if (options.proxyFrom.length > 0)
    throw new Failure(`${spelled('proxyFrom')}: is for a server; a front reads no PROXY header`)
  return to
}

function checkCertificate({ options, spelled }: Settings): void {
  const { tlsKey, tlsCert, tlsPassphrase } = options
  if (tlsKey !== undefined && tlsCert === undefined) throw needs(spelled('tlsKey'), 'its certificate: give --tls-cert')
  if (tlsCert !== undefined && tlsKey === undefined) throw needs(spelled('tlsCert'), 'its key: give --tls-key')
  if (tlsPassphrase !== undefined && tlsKey === undefined)
    throw needs(spelled('tlsPassphrase'), 'a key: give --tls-key')
  if (options.selfSigned && tlsCert !== undefined) {
    throw new Failure(`${spelled('selfSigned')} and ${spelled('tlsCert')}: are two certificates; leave one out`)
  }
}

function checkWithoutTls({ options, spelled }: Settings): void {
  // Of what is piped here, the front makes the handshakes.
  const isPiped = options.listen.every(({ pipePath }) => pipePath !== undefined)
  if (options.tlsRequired && !isPiped) throw needs(spelled('tlsRequired'), CERTIFICATE)
  if (options.tlsCa !== undefined) throw needs(spelled('tlsCa'), CERTIFICATE)
  if (options.clientCertificates !== 'none') throw needs(spelled('clientCertificates'), CERTIFICATE)
  if (Object.keys(options.sni).length > 0) throw needs(spelled('sni'), CERTIFICATE)
  const listen = options.listen.find(({ implicitTls, submission }) => implicitTls || submission)
  if (listen !== undefined) throw needs(`${spelled('listen')} ${listen.url}`, CERTIFICATE)
  if (canAuthenticate(options) && !options.authWithoutTls && !isPiped) {
    const name = spelled(options.users.length > 0 ? 'users' : 'handlers')
    throw needs(name, `${CERTIFICATE}; without TLS passwords travel in clear, which takes --auth-without-tls`)
  }
}

function checkWithoutUsers({ options, spelled }: Settings): void {
  if (options.authRequired) throw needs(spelled('authRequired'), USERS)
  const listen = options.listen.find(({ submission }) => submission)
  if (listen !== undefined) throw needs(`${spelled('listen')} ${listen.url}`, USERS)
}

function needs(name: string, what: string): Failure {
  return new Failure(`${name}: needs ${what}`)
}
