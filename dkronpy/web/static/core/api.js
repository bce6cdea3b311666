// Questions to the API of the server that this page came from.
import { locked, token } from './session.js';

const base = new URL('../v1/', document.baseURI);

/** An answer that says no: `errors` are [{field, message}]. */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `the server answered with ${status}`);
    this.status = status;
    this.errors = problem.errors ?? [];
  }
}

/** The address of a route; `query` may hold arrays, and leaves out what is null or ''. */
export function address(path, query = {}) {
  const url = new URL(path, base);
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== '') url.searchParams.append(name, one);
    }
  }
  return url;
}

/** The address of a job's route: `jobPath('a b', 'executions')`. */
export function jobPath(name, ...rest) {
  return ['jobs', name, ...rest].map(encodeURIComponent).join('/');
}

export function authorized(headers = {}) {
  return token.value ? { ...headers, Authorization: `Bearer ${token.value}` } : headers;
}

/** The response of a route. Throws ApiError, or TypeError when the server can't be reached. */
export async function ask(method, path, { query, body, headers, signal } = {}) {
  const response = await fetch(address(path, query), {
    method,
    signal,
    headers: authorized({ ...headers, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) }),
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (response.ok) return response;
  if (response.status === 401) locked.value = true;
  const problem = await response.json().catch(() => ({}));
  throw new ApiError(response.status, problem);
}

export async function get(path, query, options) {
  return (await ask('GET', path, { query, ...options })).json();
}

export async function post(path, body, options) {
  return (await ask('POST', path, { body, ...options })).json();
}
