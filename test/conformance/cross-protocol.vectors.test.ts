import { testVectors } from './theme.ts'
import { crossProtocol } from './vectors/cross-protocol.ts'

testVectors(crossProtocol)
