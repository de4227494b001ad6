import { COMMANDS } from '../kit/commands.ts'
import { testTarget } from './outcomes.ts'
import { serveOn } from './served.ts'

testTarget({ runtime: 'deno', subject: 'postern serve', gaps: {}, start: () => serveOn(COMMANDS.deno) })
