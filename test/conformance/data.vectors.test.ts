import { testVectors } from './theme.ts'
import { data } from './vectors/data.ts'

testVectors(data)
