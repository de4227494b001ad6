/** The keys that sign mail. */
import { optional, text } from '../values/schema.ts'
import type { Option } from './row.ts'

export interface SigningRows {
  /**
   * The directory with the keys for DKIM, `DOMAIN.SELECTOR.pem`, which `postern dkim keygen` makes. Default: `dkim` beside the config file, if
   * there is one.
   */
  readonly dkim: Option<string, string | undefined>
}

export const signingRows: SigningRows = {
  dkim: {
    schema: optional(text(/^[^\0]+$/, 'the path of a directory')),
    byDefault: undefined,
    help: 'directory with the keys for DKIM, DOMAIN.SELECTOR.pem (default: dkim beside the config file)',
    group: 'Signing:',
    value: 'path',
    commands: ['serve', 'dkim'],
  },
}
