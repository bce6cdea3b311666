// Which executions are shown, kept in the address.
import { html } from '../lib.js';
import { route, setQuery } from '../core/router.js';
import { STATES, TRIGGERS, wordOf } from './state.js';

const SETS = { '': 'All runs', 'failed,timed_out,killed,lost': 'Did not succeed', 'queued,dispatched,running': 'In flight' };

export function StateFilter() {
  const status = route.value.query.status ?? '';
  const choices = { ...SETS, ...Object.fromEntries(Object.keys(STATES).map((state) => [state, wordOf(state)])) };
  return html`<select class="input" aria-label="Which runs" value=${status} onChange=${(event) => setQuery({ status: event.target.value })}>
    ${Object.entries(choices).map(([value, word]) => html`<option key=${value} value=${value}>${word}</option>`)}
  </select>`;
}

export function TriggerFilter() {
  return html`<select class="input" aria-label="What started them" value=${route.value.query.trigger ?? ''} onChange=${(event) => setQuery({ trigger: event.target.value })}>
    <option value="">However started</option>
    ${Object.entries(TRIGGERS).map(([value, word]) => html`<option key=${value} value=${value}>Started ${word}</option>`)}
  </select>`;
}
