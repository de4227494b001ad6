import { testVectors } from './theme.ts'
import { policy } from './vectors/policy.ts'

testVectors(policy)
