import { testTarget } from './outcomes.ts'
import { WORKERD_GAPS, workerdTarget } from './worker.ts'

testTarget({ runtime: 'workerd', subject: 'the Worker', gaps: WORKERD_GAPS, start: workerdTarget })
