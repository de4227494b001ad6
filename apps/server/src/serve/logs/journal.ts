/** The logs of frequent events: refusals and failures. */
import type { Logger } from '@logtape/logtape'
import { ErrorLog } from './errors.ts'
import type { Options } from '../../config/options.ts'
import { RefusalLog } from './refusals.ts'
import { storeName } from '../../config/urls/store-url.ts'

export class Journal {
  readonly refusals: RefusalLog
  readonly errors: ErrorLog

  /** @param options `workers` is the number of threads that share the bounds on lines */
  constructor(log: Logger, { store, workers }: Pick<Options, 'store' | 'workers'>) {
    this.refusals = new RefusalLog(log, workers)
    this.errors = new ErrorLog(log, storeName(store), workers)
  }

  /** Writes the counts so far, when the server stops. */
  flush(): void {
    this.refusals.flush()
    this.errors.flush()
  }
}
