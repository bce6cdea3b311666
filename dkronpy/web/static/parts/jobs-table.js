// Jobs in rows: what each is, how its last runs ended, when it fires next.
import { html } from '../lib.js';
import { href, setQuery } from '../core/router.js';
import { mayWrite } from '../core/session.js';
import { relative, show } from '../core/time.js';
import { JobStatus } from './state.js';
import { Strip } from './strip.js';

const COLUMNS = [
  { title: 'Job', sort: 'name' }, { title: 'Schedule', sort: 'schedule' }, { title: 'Status', sort: 'status' }, { title: 'Last runs' },
  { title: 'Succeeded', sort: 'success_count', number: true }, { title: 'Failed', sort: 'error_count', number: true }, { title: 'Next fire', sort: 'next' },
];

export function JobsTable({ jobs, recent, sort, order, marked, onMark }) {
  const all = jobs.every((job) => marked.has(job.name));
  const mark = (names, on) => {
    const next = new Set(marked);
    for (const name of names) on ? next.add(name) : next.delete(name);
    onMark(next);
  };
  const box = (label, checked, names) => html`<input type="checkbox" aria-label=${label} checked=${checked} onChange=${(event) => mark(names, event.target.checked)} />`;
  return html`<div class="scroll"><table class="table as-cards">
    <thead><tr>
      ${mayWrite.value && html`<th scope="col">${box('Mark all on this page', all, jobs.map((job) => job.name))}</th>`}
      ${COLUMNS.map((column) => html`<${Column} key=${column.title} ...${column} current=${sort} order=${order} />`)}
    </tr></thead>
    <tbody>${jobs.map((job) => html`<tr key=${job.name}>
      ${mayWrite.value && html`<td>${box(`Mark ${job.name}`, marked.has(job.name), [job.name])}</td>`}
      <td class="first"><a class="name" href=${href(['jobs', job.name])}>${job.name}</a>
        ${job.displayname && job.displayname !== job.name && html`<div class="muted small">${job.displayname}</div>`}</td>
      <td class="wide"><${ScheduleText} job=${job} /></td>
      <td><${JobStatus} job=${job} /></td>
      <td><${Strip} ticks=${recent[job.name]} /></td>
      <td class="number" title="Runs that succeeded">${job.success_count.toLocaleString('en')} <span class="muted small">${rate(job)}</span></td>
      <td class="number ${job.error_count ? 'tone-bad' : 'muted'}" title="Runs that failed">${job.error_count.toLocaleString('en')}</td>
      <td class="nowrap" title=${job.next ? show(job.next, 'full', job.timezone) : ''}>${job.next ? relative(job.next) : html`<span class="muted">–</span>`}</td>
    </tr>`)}</tbody>
  </table></div>`;
}

function Column({ title, sort, number, current, order }) {
  const sorted = sort && sort === current;
  const turn = () => setQuery({ sort: sort === 'name' ? '' : sort, order: sorted && order === 'ASC' ? 'DESC' : '', page: '' });
  return html`<th scope="col" class=${number ? 'number' : ''} aria-sort=${sorted ? (order === 'ASC' ? 'ascending' : 'descending') : undefined}>
    ${sort ? html`<button type="button" class="sorter" onClick=${turn}>${title}${sorted ? (order === 'ASC' ? ' ↑' : ' ↓') : ''}</button>` : title}</th>`;
}

/** The share of runs that succeeded. */
function rate({ success_count: good, error_count: bad }) {
  return good + bad ? `${Math.floor((100 * good) / (good + bad))} %` : '';
}

export function ScheduleText({ job }) {
  if (job.parent_job) return html`<span class="muted">after <a href=${href(['jobs', job.parent_job])}>${job.parent_job}</a></span>`;
  if (job.depends_on && !job.schedule) return html`<span class="muted">after ${job.depends_on.parents.map((parent) => parent.job).join(', ')}</span>`;
  const more = job.schedules.map((entry) => entry.schedule);
  const texts = [job.schedule, ...more].filter(Boolean);
  if (!texts.length) return html`<span class="muted">by hand only</span>`;
  return html`<code>${texts[0]}</code>${texts.length > 1 && html` <span class="muted small">and ${texts.length - 1} more</span>`}`;
}
