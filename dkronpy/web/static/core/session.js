// Who uses the page: the token, and what it lets them do.
import { computed, signal } from '../lib.js';

const KEY = 'dkronpy.token';

/** The token; '' where none is needed or known. Kept for this tab, or for this browser if its user wants that. */
export const token = signal(sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY) ?? '');

/** Whether the server refused what it was asked for want of a token. */
export const locked = signal(false);

/** {name, write, tokens, version}; null until the server has answered. */
export const who = signal(null);

/** Whether this user may change anything. */
export const mayWrite = computed(() => who.value?.write ?? false);

export function signIn(text, stay) {
  (stay ? localStorage : sessionStorage).setItem(KEY, text);
  token.value = text;
  locked.value = false;
}

export function signOut() {
  sessionStorage.removeItem(KEY);
  localStorage.removeItem(KEY);
  token.value = '';
  who.value = null;
  locked.value = true;
}
