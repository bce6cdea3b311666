// What differs between two definitions: {field: {old, new}}.
import { html } from '../lib.js';

const text = (value) => (value === undefined ? '' : typeof value === 'string' ? value || '""' : JSON.stringify(value, null, 1));

/** The fields in which two objects differ. */
export function differences(before, after) {
  const found = {};
  for (const field of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (JSON.stringify(before[field] ?? null) !== JSON.stringify(after[field] ?? null)) {
      found[field] = { old: before[field], new: after[field] };
    }
  }
  return found;
}

export function Difference({ changes }) {
  return html`<div class="scroll"><table class="table difference">
    <thead><tr><th scope="col">Field</th><th scope="col">Before</th><th scope="col">After</th></tr></thead>
    <tbody>${Object.entries(changes).map(([field, { old, new: fresh }]) => html`<tr key=${field}>
      <th scope="row"><code>${field}</code></th>
      <td><pre class="old">${text(old)}</pre></td><td><pre class="new">${text(fresh)}</pre></td></tr>`)}</tbody>
  </table></div>`;
}
