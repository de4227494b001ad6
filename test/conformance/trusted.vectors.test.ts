import { testVectors } from './theme.ts'
import { trusted } from './vectors/trusted.ts'

testVectors(trusted)
