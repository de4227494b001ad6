/** Reads certificates again: when their files change, and after SIGHUP. */
import { access, constants } from 'node:fs/promises'
import type { TlsCredentials } from '@postern/runtime/tls'
import type { Logger } from '@logtape/logtape'
import type { Settings } from '../../config/settings.ts'
import { errorText } from '../../host/failure.ts'
import { watchFiles } from '../../host/file-watch.ts'
import { watchDates, warnOfDates } from './dates.ts'
import { reloadTls } from './tls.ts'

/** The parts that read the certificates again and report it. */
export interface RenewalDeps {
  readonly settings: Settings
  readonly tls: TlsCredentials
  readonly log: Logger
  /** Called after the certificates were read again. */
  renewed?: (() => Promise<void>) | undefined
}

export class Renewal {
  readonly #deps: RenewalDeps
  readonly #stops: readonly (() => void)[]
  /** One reading after another. */
  #last: Promise<void> = Promise.resolve()
  /** Why the files could not be used the last time. */
  #reason: string | undefined

  /** Begins to watch the files, and the dates of the certificates. */
  constructor(deps: RenewalDeps) {
    const { settings, tls, log } = deps
    this.#deps = deps
    const paths = filesOf(settings)
    if (settings.options.user !== undefined) void warnOfUnreadable(paths, log)
    this.#stops = [
      watchDates(tls, log),
      ...(paths.length === 0 ? [] : [watchFiles(paths, () => this.#soon(() => this.#read(false)))]),
    ]
  }

  /** Reads the files again because somebody asked for it. */
  now(): void {
    const { settings, log } = this.#deps
    if (filesOf(settings).length > 0) this.#soon(() => this.#read(true))
    else log.info('SIGHUP: there are no certificate files to read again', {})
  }

  /** Stops to watch. */
  close(): void {
    for (const stop of this.#stops) stop()
  }

  #soon(read: () => Promise<void>): void {
    this.#last = this.#last.then(read)
  }

  /** @param isAsked False if the files have changed. Then a reason that was logged already is not logged again. */
  async #read(isAsked: boolean): Promise<void> {
    const { settings, tls, log, renewed } = this.#deps
    try {
      const isNew = await reloadTls(settings, tls)
      this.#reason = undefined
      if (!isNew && !isAsked) return
      if (isNew) await renewed?.()
      log.info('certificates read again', {})
      warnOfDates(tls, log)
    } catch (error) {
      const reason = errorText(error)
      if (isAsked || reason !== this.#reason) {
        log.error('certificates could not be read again; the server keeps the old ones', { error })
      }
      this.#reason = reason
    }
  }
}

/** Warns of files that root has read at the start, and that the user of `--user` can't read again. */
async function warnOfUnreadable(paths: readonly string[], log: Logger): Promise<void> {
  for (const path of paths) {
    try {
      await access(path, constants.R_OK)
    } catch (error) {
      const facts = { file: path, reason: errorText(error) }
      log.warn('this user cannot read a certificate file again; restart the server after it changes', facts)
    }
  }
}

/** Returns the files that certificates, keys and authorities come from. */
function filesOf({ options: { tlsKey, tlsCert, tlsCa, sni } }: Settings): readonly string[] {
  const hosts = Object.values(sni).flatMap((files) => [files.tlsKey, files.tlsCert].flat())
  return [...new Set([...tlsKey, ...tlsCert, ...(tlsCa === undefined ? [] : [tlsCa]), ...hosts])]
}
