// What a view asks the API for: the answer, the error, and asking again.
import { useEffect, useRef, useState } from '../lib.js';
import { token } from './session.js';

/**
 * {data, error, reload}. `fetcher(signal)` is called when a `keys` value changes and by `reload`; an older answer never
 * replaces a newer one, and what was shown stays until the new one is there.
 */
export function useLoad(fetcher, keys) {
  const [state, setState] = useState({ data: null, error: null });
  const running = useRef(null);
  const load = () => {
    running.current?.abort();
    const abort = (running.current = new AbortController());
    fetcher(abort.signal).then(
      (data) => abort.signal.aborted || setState({ data, error: null }),
      (error) => abort.signal.aborted || setState((old) => ({ data: old.data, error })),
    );
  };
  useEffect(() => {
    load();
    return () => running.current?.abort();
  }, [...keys, token.value]);
  const change = (edit) => setState((old) => (old.data === null ? old : { ...old, data: edit(old.data) }));
  return { ...state, reload: load, change };
}

/** A function that calls `action` at most every `pause` ms, the last time after the last call. */
export function useThrottled(action, pause) {
  const state = useRef({ timer: 0, action });
  state.current.action = action;
  useEffect(() => () => clearTimeout(state.current.timer), []);
  return () => {
    if (state.current.timer) return;
    state.current.timer = setTimeout(() => {
      state.current.timer = 0;
      state.current.action();
    }, pause);
  };
}
