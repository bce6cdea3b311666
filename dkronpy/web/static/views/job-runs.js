// A job's executions, by the fire that they belong to: its nodes and attempts.
import { html, useState } from '../lib.js';
import { ask, jobPath } from '../core/api.js';
import { useLoad } from '../core/load.js';
import { href, route, setQuery } from '../core/router.js';
import { relative, show } from '../core/time.js';
import { Card, Empty, Failure } from '../parts/page.js';
import { elapsed } from '../parts/runs.js';
import { reasonOf, State, STATES, TRIGGERS, wordOf } from '../parts/state.js';

const LIMIT = 100;

export function JobRuns({ job, beat }) {
  const status = route.value.query.status ?? '';
  const [cursors, setCursors] = useState([]);
  const cursor = cursors.at(-1) ?? '';
  const page = useLoad((signal) => fetchRuns(job.name, { status, cursor }, signal), [job.name, status, cursor, cursor ? 0 : beat]);
  const choose = (event) => {
    setCursors([]);
    setQuery({ status: event.target.value });
  };
  return html`
    <div class="filters">
      <select class="input" aria-label="Which runs" value=${status} onChange=${choose}>
        <option value="">All runs</option>
        ${Object.keys(STATES).map((state) => html`<option key=${state} value=${state}>${wordOf(state)}</option>`)}
      </select>
    </div>
    ${page.error && html`<${Failure} error=${page.error} />`}
    ${page.data && html`<${Card} flush title="">
      ${page.data.runs.length ? html`<${RunsTable} job=${job} groups=${grouped(page.data.runs)} />` : html`<${Empty}>No run is like that.<//>`}
      <nav class="pager" aria-label="Pages"><span class="grow"></span>
        <button type="button" class="button" disabled=${!cursors.length} onClick=${() => setCursors(cursors.slice(0, -1))}>Newer</button>
        <button type="button" class="button" disabled=${!page.data.next} onClick=${() => setCursors([...cursors, page.data.next])}>Older</button>
      </nav>
    <//>`}`;
}

async function fetchRuns(name, query, signal) {
  const response = await ask('GET', jobPath(name, 'executions'), { query: { ...query, limit: LIMIT, output_size_limit: 0 }, signal });
  return { runs: await response.json(), next: response.headers.get('X-Next-Cursor') };
}

/** Runs of the same fire together; the id begins with the fire's number, which is too large for a number here. */
function grouped(runs) {
  const groups = new Map();
  for (const run of runs) {
    const key = run.id.split('-', 1)[0];
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  return [...groups];
}

function RunsTable({ job, groups }) {
  return html`<div class="scroll"><table class="table as-cards">
    <thead><tr>${['Fire', 'State', 'Node', 'Attempt', 'Began', 'Took', 'Why'].map((title) => html`<th key=${title} scope="col">${title}</th>`)}</tr></thead>
    ${groups.map(([key, runs]) => html`<tbody key=${key}>${runs.map((run, index) => html`<tr key=${run.id}>
      <td class="nowrap first">${index === 0 ? html`<span title=${TRIGGERS[run.trigger] ?? run.trigger}>${show(run.fire_time ?? run.decided_at, 'full', job.timezone)}
        ${run.trigger !== 'schedule' && html` <span class="pill">${TRIGGERS[run.trigger] ?? run.trigger}</span>`}</span>` : html`<span class="unseen">same fire</span>`}</td>
      <td><a href=${href(['jobs', job.name, 'executions', run.id])}><${State} state=${run.state} /></a></td>
      <td>${run.node_name || html`<span class="muted">–</span>`}</td>
      <td class="number">${run.attempt || html`<span class="muted">–</span>`}</td>
      <td class="nowrap muted">${run.started_at ? relative(run.started_at) : '–'}</td>
      <td class="nowrap number">${elapsed(run)}</td>
      <td class="muted small wide">${reasonOf(run)}</td>
    </tr>`)}</tbody>`)}
  </table></div>`;
}
