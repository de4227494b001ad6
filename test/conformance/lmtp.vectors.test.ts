import { testVectors } from './theme.ts'
import { lmtp } from './vectors/lmtp.ts'

testVectors(lmtp)
