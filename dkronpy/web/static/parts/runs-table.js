// Executions in rows, those of the same fire together.
import { html } from '../lib.js';
import { href } from '../core/router.js';
import { relative, show } from '../core/time.js';
import { elapsed } from './runs.js';
import { reasonOf, State, TRIGGERS } from './state.js';

/** Runs of the same fire together; an id begins with the fire's number, which is too large for a number here. */
function grouped(runs) {
  const groups = new Map();
  for (const run of runs) {
    const key = `${run.job_name} ${run.id.split('-', 1)[0]}`;
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  return [...groups];
}

/** `withJob`: also which job's; `zone`: the job's. */
export function RunsTable({ runs, withJob = false, zone = '' }) {
  const titles = [withJob && 'Job', 'Fire', 'State', 'Node', 'Attempt', 'Began', 'Took', 'Why'].filter(Boolean);
  return html`<div class="scroll"><table class="table as-cards">
    <thead><tr>${titles.map((title) => html`<th key=${title} scope="col" class=${['Attempt', 'Took'].includes(title) ? 'number' : ''}>${title}</th>`)}</tr></thead>
    ${grouped(runs).map(([key, group]) => html`<tbody key=${key}>${group.map((run, index) => html`<tr key=${run.id}>
      ${withJob && html`<td class="first"><a class="name" href=${href(['jobs', run.job_name])}>${run.job_name}</a></td>`}
      <td class="nowrap ${withJob ? '' : 'first'}">${index === 0 ? html`<${Fire} run=${run} zone=${zone} />` : html`<span class="muted">same fire</span>`}</td>
      <td><a href=${href(['jobs', run.job_name, 'executions', run.id])}><${State} state=${run.state} /></a></td>
      <td>${run.node_name || html`<span class="muted">–</span>`}</td>
      <td class="number">${run.attempt || html`<span class="muted">–</span>`}</td>
      <td class="nowrap muted">${run.started_at ? relative(run.started_at) : '–'}</td>
      <td class="nowrap number">${elapsed(run)}</td>
      <td class="muted small wide">${reasonOf(run)}</td>
    </tr>`)}</tbody>`)}
  </table></div>`;
}

function Fire({ run, zone }) {
  return html`<span>${show(run.fire_time ?? run.decided_at, 'full', zone)}
    ${run.trigger !== 'schedule' && html` <span class="pill">${TRIGGERS[run.trigger] ?? run.trigger}</span>`}</span>`;
}
