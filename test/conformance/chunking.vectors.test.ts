import { testVectors } from './theme.ts'
import { chunking } from './vectors/chunking.ts'

testVectors(chunking)
