import { testVectors } from './theme.ts'
import { parameters } from './vectors/parameters.ts'

testVectors(parameters)
