/** Lines that come before a vector's own bytes. */
export const HELLO: readonly string[] = ['EHLO client.example']
export const MAIL: readonly string[] = [...HELLO, 'MAIL FROM:<alice@example.org>']
export const RCPT: readonly string[] = [...MAIL, 'RCPT TO:<bob@example.com>']
export const DATA: readonly string[] = [...RCPT, 'DATA']
