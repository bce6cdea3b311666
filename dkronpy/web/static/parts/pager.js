// Pages of a list that the server counts.
import { html } from '../lib.js';

export function Pager({ page, size, total, onPage }) {
  const pages = Math.max(Math.ceil(total / size), 1);
  const from = Math.min((page - 1) * size + 1, total);
  return html`<nav class="pager" aria-label="Pages">
    <span class="grow">${total ? `${from.toLocaleString('en')}–${Math.min(page * size, total).toLocaleString('en')} of ${total.toLocaleString('en')}` : 'none'}</span>
    ${pages > 1 && html`
      <button type="button" class="button" disabled=${page <= 1} onClick=${() => onPage(page - 1)}>Back</button>
      <span>${page} / ${pages}</span>
      <button type="button" class="button" disabled=${page >= pages} onClick=${() => onPage(page + 1)}>Next</button>`}
  </nav>`;
}
