// Questions before something is done, and short words after it.
import { html, signal, useLayoutEffect, useRef } from '../lib.js';
import { Icon } from './icons.js';

const toasts = signal([]);
let last = 0;

/** Tell of what was done; `bad` ones stay until they are closed. */
export function toast(text, bad = false) {
  const id = ++last;
  toasts.value = [...toasts.value.slice(-4), { id, text, bad }];
  if (!bad) setTimeout(() => close(id), 5000);
}

/** Do something and tell how it went: the result, or undefined where it failed. */
export async function attempt(action, done) {
  try {
    const result = await action();
    if (done) toast(done);
    return result;
  } catch (error) {
    toast(error.message, true);
    return undefined;
  }
}

const close = (id) => (toasts.value = toasts.value.filter((one) => one.id !== id));

export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">
    ${toasts.value.map(({ id, text, bad }) => html`<div key=${id} class="toast ${bad ? 'bad' : ''}">
      <span class="grow">${text}</span>
      <button type="button" aria-label="Close" onClick=${() => close(id)}><${Icon} name="cross" /></button>
    </div>`)}
  </div>`;
}

/** A modal dialog; Escape and its buttons close it. */
export function Dialog({ title, onClose, children }) {
  const element = useRef(null);
  useLayoutEffect(() => {
    const dialog = element.current;
    dialog.showModal();
    return () => dialog.close(); // so that the focus goes back to where it was
  }, []);
  return html`<dialog ref=${element} aria-label=${title} onClose=${onClose}
      onClick=${(event) => event.target === element.current && onClose()}>
    <div class="stack"><h2>${title}</h2>${children}</div>
  </dialog>`;
}

const question = signal(null);

/** Ask; true when it is confirmed. */
export function confirm(title, text, { action = 'Yes', danger = false } = {}) {
  return new Promise((answer) => {
    question.value = { title, text, action, danger, answer };
  });
}

export function Question() {
  if (!question.value) return null;
  const asked = question.value;
  const { title, text, action, danger, answer } = asked;
  const end = (yes) => {
    if (question.value === asked) question.value = null;
    answer(yes);
  };
  return html`<${Dialog} title=${title} onClose=${() => end(false)}>
    <p>${text}</p>
    <div class="actions">
      <button type="button" class="button" onClick=${() => end(false)}>Cancel</button>
      <button type="button" class="button ${danger ? 'danger' : 'primary'}" autofocus onClick=${() => end(true)}>${action}</button>
    </div>
  <//>`;
}
