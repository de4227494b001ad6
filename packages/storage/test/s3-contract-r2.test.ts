/** The contract of stores over S3: R2's S3 API, as miniflare has it. */
import { s3Contract } from './s3-contract.ts'
import { startR2 } from './servers/r2-s3.ts'

s3Contract('s3 on R2', startR2, { missing: undefined })
