// The one stream of what happens in the cluster. Views say what they want to hear of.
import { effect, signal, useEffect, useRef } from '../lib.js';
import { locked, token } from './session.js';
import { stream } from './stream.js';

/** 'connecting', 'live' or 'lost'. */
export const connection = signal('connecting');

/** The cluster's overview, as `/v1/overview` shows it; null until it is known. */
export const overview = signal(null);

/** Whether the page is seen: what nobody looks at hears of nothing. */
export const visible = signal(!document.hidden);

const wanted = signal({ key: '', names: [], jobs: [] });
const listeners = new Set();
const HIDDEN_FOR = 5000;

let hiding;
document.addEventListener('visibilitychange', () => {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(() => (visible.value = false), HIDDEN_FOR);
  else visible.value = true;
});

/** Begin to listen; once. */
export function start() {
  effect(() => {
    const { names, jobs } = wanted.value;
    if (!visible.value || locked.value) return undefined;
    void token.value;
    const only = ['overview', 'leader', 'pause', ...names].join(',');
    return stream('events', { only, job: jobs }, {
      open: () => (connection.value = 'live'),
      lost: () => (connection.value = 'lost'),
      event: (name, data) => {
        if (name === 'overview') overview.value = data;
        for (const listener of listeners) listener(name, data);
      },
    });
  });
}

/**
 * Let a view hear of events: `names` among 'job', 'execution', 'trigger' and 'backfill', of these jobs only ([]: all), 'drain' and 'group'.
 * `hear(name, data)` also gets 'ready' whenever the stream begins anew: what was missed must be asked for.
 */
export function useEvents(names, jobs, hear) {
  const current = useRef(hear);
  current.current = hear;
  const key = JSON.stringify([names, jobs]);
  useEffect(() => {
    const listener = (name, data) => current.current(name, data);
    listeners.add(listener);
    if (wanted.peek().key !== key) wanted.value = { key, names, jobs };
    return () => listeners.delete(listener);
  }, [key]);
}
