/** Short cuts for tests that read and write blobs. */
export { get, keysIn, pages, put } from '../../../test/contracts/blobs/exchange.ts'
