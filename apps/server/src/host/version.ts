/** The version of this package. It is not read from package.json, which is not in `src`, and may not be beside the program. */
export const VERSION = '0.1.0'
