import { testVectors } from './theme.ts'
import { sequence } from './vectors/sequence.ts'

testVectors(sequence)
