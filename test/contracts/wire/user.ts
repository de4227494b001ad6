/** The user that may send on every target. */
export const USER = 'ann@sender.example'
export const PASSWORD = 'pa ss:w%rd'
