import { testVectors } from './theme.ts'
import { extensions } from './vectors/extensions.ts'

testVectors(extensions)
