// What a draft would do, as it is typed: its schedule in words, its next fires, the nodes that its tags pick now.
import { html, useEffect, useState } from '../../lib.js';
import { get, post } from '../../core/api.js';
import { useLoad } from '../../core/load.js';
import { href } from '../../core/router.js';
import { Fires } from '../../parts/fires.js';
import { Card } from '../../parts/page.js';
import { hasParents, parentsInWords } from './parents.js';

const COUNT = 8;
const PAUSE = 250;
const TIMING = ['name', 'schedule', 'schedules', 'spread', 'calendars', 'blackouts', 'timezone', 'hash', 'hash_id', 'starts_at', 'expires_at'];

/** A value that follows another once that has stood still. */
function useSettled(value) {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), PAUSE);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}

/** Which entries of the draft's lists are written so far that they mean something; of others nothing is asked yet. */
const WRITTEN = {
  schedules: (entry) => entry.schedule,
  calendars: (name) => name,
  blackouts: (blackout) => (blackout.start && blackout.end) || (blackout.schedule && blackout.duration),
};

/** The draft's timing as the server reads it; `error` where it can't, by the draft's own fields. */
export function usePreview(draft) {
  const asked = {};
  const places = {}; // where an entry that is asked about stands in the draft
  for (const field of TIMING) {
    const value = draft[field];
    if (value === undefined || value === null) continue;
    asked[field] = value;
    if (field in WRITTEN && Array.isArray(value)) {
      places[field] = value.map((_, index) => index).filter((index) => WRITTEN[field](value[index] ?? {}));
      asked[field] = places[field].map((index) => value[index]);
    }
  }
  const settled = useSettled(JSON.stringify([{ ...asked, count: COUNT }, places]));
  const [body, standing] = JSON.parse(settled);
  const scheduled = Boolean(body.schedule || body.schedules?.length);
  const load = useLoad((signal) => (scheduled ? post('schedule/preview', body, { signal }) : Promise.resolve(null)), [settled]);
  return { data: load.error ? null : load.data, error: load.error && placed(load.error, standing), scheduled };
}

function placed(error, standing) {
  const errors = (error.errors ?? []).map(({ field, message }) => {
    const [list, index, ...rest] = field.split('.');
    return { field: standing[list] && index !== undefined ? [list, standing[list][index], ...rest].join('.') : field, message };
  });
  return { message: error.message, errors };
}

/** One of several schedules of the draft as the server reads it; `wrong(field)`: messages about its schedule or zone. */
export function useWords(draft, schedule, timezone) {
  const { name, hash, hash_id } = draft;
  const body = useSettled(JSON.stringify({ name, hash, hash_id, schedule: schedule || undefined, timezone: timezone || undefined, count: 3 }));
  const { data, error } = useLoad((signal) => (JSON.parse(body).schedule ? post('schedule/preview', JSON.parse(body), { signal }) : Promise.resolve(null)), [body]);
  const wrong = (field) => (error?.errors ?? []).filter((fault) => fault.field === field).map((fault) => fault.message);
  return { data: error ? null : data, wrong };
}

export function Preview({ draft, preview }) {
  const tags = useSettled(JSON.stringify(draft.tags ?? {}));
  const query = Object.fromEntries(Object.entries(JSON.parse(tags)).map(([key, value]) => [`tags[${key}]`, value]));
  const nodes = useLoad((signal) => get('nodes', query, { signal }), [tags]);
  return html`<div class="stack">
    <${Card} title=${hasParents(draft) ? 'What starts it' : 'Next fires'}><${Timing} draft=${draft} preview=${preview} /><//>
    <${Card} title="Nodes that fit now">${nodes.data && html`<${Nodes} nodes=${nodes.data.filter((node) => node.status === 'alive')} tags=${JSON.parse(tags)} />`}<//>
  </div>`;
}

function Timing({ draft, preview }) {
  if (!preview.scheduled) {
    if (hasParents(draft)) return html`<p class="in-words" role="status">${parentsInWords(draft)}</p>`;
    return html`<p class="muted">It has no schedule yet.</p>`;
  }
  if (preview.error) {
    const { message, errors } = preview.error;
    return html`<p class="error" role="status">${errors.length ? errors.map((fault) => fault.message).join('; ') : message}</p>`;
  }
  if (!preview.data) return null;
  return html`<div class="in-words" role="status">${preview.data.description.split('; and ').map((words) => html`<p key=${words}>${words}</p>`)}</div>
    <${Fires} fires=${preview.data.fires} job=${draft} />
    ${preview.data.fires.length === 0 && html`<p class="muted">No fire is to come.</p>`}`;
}

function Nodes({ nodes, tags }) {
  if (!nodes.length) return html`<p class="tone-warn" role="status">No alive node has these tags: its fires would be skipped, or wait.</p>`;
  const counts = Object.values(tags).map((value) => /:(\d+)$/.exec(value)?.[1]).filter(Boolean).map(Number);
  const some = counts.length && Math.min(...counts) < nodes.length ? `It runs on ${Math.min(...counts)} of these ${nodes.length}.` : '';
  return html`<p class="row">${nodes.slice(0, 30).map((node) => html`<a key=${node.name} class="pill" href=${href(['nodes', node.name])}>${node.name}</a>`)}
    ${nodes.length > 30 && html`<span class="muted">and ${nodes.length - 30} more</span>`}</p>
    ${some && html`<p class="small muted">${some}</p>`}`;
}
