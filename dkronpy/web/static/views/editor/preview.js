// What a draft would do, as it is typed: its schedule in words, its next fires, the nodes that its tags pick now.
import { html, useEffect, useState } from '../../lib.js';
import { get, post } from '../../core/api.js';
import { useLoad } from '../../core/load.js';
import { href } from '../../core/router.js';
import { Fires } from '../../parts/fires.js';
import { Card } from '../../parts/page.js';

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

/** The draft's timing as the server reads it; `error` where it can't. */
export function usePreview(draft) {
  const asked = {};
  for (const field of TIMING) if (draft[field] !== undefined && draft[field] !== null) asked[field] = draft[field];
  const body = useSettled(JSON.stringify({ ...asked, count: COUNT }));
  const { schedule, schedules } = JSON.parse(body);
  const scheduled = Boolean(schedule || schedules?.length);
  const load = useLoad((signal) => (scheduled ? post('schedule/preview', JSON.parse(body), { signal }) : Promise.resolve(null)), [body]);
  return { data: load.error ? null : load.data, error: load.error, scheduled };
}

export function Preview({ draft, preview }) {
  const tags = useSettled(JSON.stringify(draft.tags ?? {}));
  const query = Object.fromEntries(Object.entries(JSON.parse(tags)).map(([key, value]) => [`tags[${key}]`, value]));
  const nodes = useLoad((signal) => get('nodes', query, { signal }), [tags]);
  return html`<div class="stack">
    <${Card} title="Next fires"><${Timing} draft=${draft} preview=${preview} /><//>
    <${Card} title="Nodes that fit now">${nodes.data && html`<${Nodes} nodes=${nodes.data.filter((node) => node.status === 'alive')} tags=${JSON.parse(tags)} />`}<//>
  </div>`;
}

function Timing({ draft, preview }) {
  if (!preview.scheduled) {
    const after = draft.parent_job || (draft.depends_on && 'several jobs');
    return html`<p class="muted">${after ? `It runs after ${after}.` : 'It has no schedule: it runs when it is asked to.'}</p>`;
  }
  if (preview.error) return html`<p class="error" role="status">${preview.error.message}</p>`;
  if (!preview.data) return null;
  return html`<p class="in-words" role="status">${preview.data.description}</p>
    <${Fires} fires=${preview.data.fires} zone=${draft.timezone} />
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
