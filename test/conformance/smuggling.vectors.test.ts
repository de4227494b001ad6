import { testVectors } from './theme.ts'
import { smuggling } from './vectors/smuggling.ts'

testVectors(smuggling)
