/** The lines of a log that may be many: what was refused, and what failed. */
import type { Logger } from '@logtape/logtape'
import { ErrorLog } from './errors.ts'
import type { Options } from '../../config/options.ts'
import { RefusalLog } from './refusals.ts'
import { storeName } from '../../config/urls/store-url.ts'

export class Journal {
  readonly refusals: RefusalLog
  readonly errors: ErrorLog

  /** @param workerCount Threads that share what may be written. */
  constructor(log: Logger, { store, workers }: Pick<Options, 'store' | 'workers'>) {
    this.refusals = new RefusalLog(log, workers)
    this.errors = new ErrorLog(log, storeName(store), workers)
  }

  /** Writes what was counted so far: at the end. */
  flush(): void {
    this.refusals.flush()
    this.errors.flush()
  }
}
