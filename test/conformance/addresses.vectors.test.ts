import { testVectors } from './theme.ts'
import { addresses } from './vectors/addresses.ts'

testVectors(addresses)
