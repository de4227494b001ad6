/** Finds the operation of a request to an S3 server from its method and its path-style URL. */

export type S3Operation =
  | 'put'
  | 'create'
  | 'part'
  | 'complete'
  | 'abort'
  | 'uploads'
  | 'list'
  | 'get'
  | 'head'
  | 'delete'
  | 'other'

/** @returns the operation, and the key behind `<basePath>/<bucket>/`, '' if there is none */
export function operationOf(
  method: string,
  url: string,
  basePath: string = '',
): { operation: S3Operation; key: string } {
  const { pathname, searchParams } = new URL(url, 'http://s3.example')
  const key = decodeURIComponent(/^\/[^/]+\/(.*)$/.exec(pathname.slice(basePath.length))?.[1] ?? '')
  return { operation: nameOf(method, key, searchParams), key }
}

function nameOf(method: string, key: string, query: URLSearchParams): S3Operation {
  const isOfUpload = query.has('uploadId')
  switch (method) {
    case 'PUT':
      return isOfUpload ? 'part' : 'put'
    case 'POST':
      return isOfUpload ? 'complete' : query.has('uploads') ? 'create' : query.has('delete') ? 'delete' : 'other'
    case 'DELETE':
      return isOfUpload ? 'abort' : 'delete'
    case 'GET':
      return query.has('uploads') ? 'uploads' : key === '' ? 'list' : 'get'
    case 'HEAD':
      return 'head'
    default:
      return 'other'
  }
}
