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

const isTable = (value) => value !== null && typeof value === 'object';

/** [path, old, new] of all that differs, as deep as both sides are alike: lists only where they are as long. */
function deepest(path, old, fresh) {
  if (JSON.stringify(old ?? null) === JSON.stringify(fresh ?? null)) return [];
  const alike = isTable(old) && isTable(fresh) && Array.isArray(old) === Array.isArray(fresh) && !(Array.isArray(old) && old.length !== fresh.length);
  if (!alike) return [[path, old, fresh]];
  return [...new Set([...Object.keys(old), ...Object.keys(fresh)])].flatMap((key) => deepest(`${path}.${key}`, old[key], fresh[key]));
}

export function Difference({ changes }) {
  const rows = Object.entries(changes).flatMap(([field, { old, new: fresh }]) => deepest(field, old, fresh));
  return html`<div class="scroll"><table class="table difference">
    <thead><tr><th scope="col">Field</th><th scope="col">Before</th><th scope="col">After</th></tr></thead>
    <tbody>${rows.map(([path, old, fresh]) => html`<tr key=${path}>
      <th scope="row"><code>${path}</code></th>
      <td><pre class="old">${text(old)}</pre></td><td><pre class="new">${text(fresh)}</pre></td></tr>`)}</tbody>
  </table></div>`;
}
