// What a viewer has chosen, kept by their browser.
import { effect, signal } from '../lib.js';

function kept(name, choices) {
  const key = `dkronpy.${name}`;
  const stored = localStorage.getItem(key);
  const found = signal(choices.includes(stored) ? stored : choices[0]);
  effect(() => localStorage.setItem(key, found.value));
  return found;
}

/** 'auto' follows the system. */
export const theme = kept('theme', ['auto', 'light', 'dark']);

/** On whose clock times are shown: the viewer's, or each job's own. */
export const clock = kept('clock', ['viewer', 'job']);

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});
