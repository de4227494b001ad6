/** The contract of every BlobStore. */
import type { Check } from './check.ts'
import { keys } from './keys.ts'
import { listings } from './listings.ts'
import { readers } from './readers.ts'
import { sizes } from './sizes.ts'
import { writers } from './writers.ts'

export const blobChecks: readonly Check[] = [...sizes, ...writers, ...readers, ...keys, ...listings]
