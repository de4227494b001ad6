/** The contract of stores over S3: Debian's swift. */
import { s3Contract } from './s3-contract.ts'
import { SWIFT } from '../../../test/kit/abilities.ts'
import { startSwift } from './servers/swift.ts'

s3Contract('s3 on swift', startSwift, SWIFT)
