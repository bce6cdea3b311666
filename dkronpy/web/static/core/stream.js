// Server-sent events by fetch, because EventSource can't send a token in a header.
import { ApiError, address, authorized } from './api.js';
import { locked } from './session.js';

const FIRST_DELAY = 500;
const MAX_DELAY = 5000;

/**
 * Reads events until `stop` (the function returned) is called, beginning anew when the connection breaks.
 * on.event(name, data, id); on.open(); on.lost(); on.refused(error) ends it. `resume`: send the last id again.
 */
export function stream(path, query, on, { resume = false } = {}) {
  const abort = new AbortController();
  let last = '';

  async function read() {
    const response = await fetch(address(path, query), {
      signal: abort.signal,
      cache: 'no-store',
      headers: authorized(resume && last ? { 'Last-Event-ID': last } : {}),
    });
    if (!response.ok) {
      if (response.status === 401) locked.value = true;
      throw new ApiError(response.status, await response.json().catch(() => ({})));
    }
    on.open?.();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop();
      for (const block of blocks) {
        const event = parse(block);
        if (event.id) last = event.id;
        if (event.data && !abort.signal.aborted) on.event(event.name, JSON.parse(event.data), event.id);
      }
    }
  }

  async function run() {
    let delay = FIRST_DELAY;
    while (!abort.signal.aborted) {
      const began = performance.now();
      try {
        await read();
      } catch (error) {
        if (abort.signal.aborted) return;
        if (error instanceof ApiError && error.status < 500) {
          on.refused?.(error);
          return;
        }
      }
      if (abort.signal.aborted) return;
      on.lost?.();
      delay = performance.now() - began > MAX_DELAY ? FIRST_DELAY : Math.min(delay * 2, MAX_DELAY);
      await new Promise((wake) => setTimeout(wake, delay));
    }
  }

  run();
  return () => abort.abort();
}

function parse(block) {
  const event = { name: 'message', data: '', id: '' };
  for (const line of block.split('\n')) {
    const colon = line.indexOf(': ');
    const field = line.slice(0, colon);
    if (field === 'event') event.name = line.slice(colon + 2);
    else if (field === 'data') event.data = line.slice(colon + 2);
    else if (field === 'id') event.id = line.slice(colon + 2);
  }
  return event;
}
