import { testVectors } from './theme.ts'
import { limits } from './vectors/limits.ts'

testVectors(limits)
