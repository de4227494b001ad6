import { testVectors } from './theme.ts'
import { hello } from './vectors/hello.ts'

testVectors(hello)
