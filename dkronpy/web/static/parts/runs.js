// Executions as a list, in few words each.
import { html } from '../lib.js';
import { href } from '../core/router.js';
import { ms, now, relative, show, span } from '../core/time.js';
import { Empty } from './page.js';
import { isOpen, reasonOf, State } from './state.js';

export function RunList({ runs, empty, withJob = true }) {
  if (!runs.length) return html`<${Empty}>${empty}<//>`;
  return html`<ul class="list">${runs.map((run) => html`<li key=${run.job_name + run.id}>
    <${State} state=${run.state} />
    <span class="what">
      <a href=${href(['jobs', run.job_name, 'executions', run.id])}>${withJob ? run.job_name : show(run.fire_time ?? run.decided_at)}</a>
      ${run.node_name && html` <span class="muted">on ${run.node_name}</span>`}
      ${reasonOf(run) && html` <span class="muted small">${reasonOf(run)}</span>`}
    </span>
    <span class="muted small nowrap" title=${show(whenOf(run))}>${isOpen(run.state) ? elapsed(run) : relative(whenOf(run))}</span>
  </li>`)}</ul>`;
}

const whenOf = (run) => run.finished_at ?? run.started_at ?? run.decided_at ?? run.fire_time;

/** How long a run took, or has taken up to now. */
export function elapsed(run) {
  if (!run.started_at) return '–';
  return span(Math.max((run.finished_at ? ms(run.finished_at) : now.value) - ms(run.started_at), 0));
}
