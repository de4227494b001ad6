import { testVectors } from './theme.ts'
import { loops } from './vectors/loops.ts'

testVectors(loops)
