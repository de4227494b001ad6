/** The user that may send on every target. */
export const USER = 'ann@sender.example'
export const PASSWORD = 'pa ss:w%rd'
/** What `postern hash` printed for the password. To make one takes a process, and every server needs one. */
export const PASSWORD_HASH: string =
  '$scrypt$ln=15,r=8,p=3$1ir7+rP6TiTmrS1KxHtnvw$Edp+MaV/v4GBJ9OKah6IZOPqWX/J572bxiLyJmu01/A'
