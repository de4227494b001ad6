import { testVectors } from './theme.ts'
import { auth } from './vectors/auth.ts'

testVectors(auth)
