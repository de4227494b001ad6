import { testVectors } from './theme.ts'
import { syntax } from './vectors/syntax.ts'

testVectors(syntax)
