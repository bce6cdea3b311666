// All jobs: searched, filtered, sorted and paged by the server, so that ten thousand are as quick as ten.
import { html, useEffect, useRef, useState } from '../lib.js';
import { ask, get } from '../core/api.js';
import { useEvents } from '../core/live.js';
import { useLoad, useThrottled } from '../core/load.js';
import { href, route, setQuery } from '../core/router.js';
import { mayWrite } from '../core/session.js';
import { Icon } from '../parts/icons.js';
import { Card, Empty, Failure, Heading } from '../parts/page.js';
import { JobsTable } from '../parts/jobs-table.js';
import { Pager } from '../parts/pager.js';
import { Bulk } from './jobs-bulk.js';

const PAGE = 50;
const FILTERS = {
  '': 'All jobs', failed: 'That fail', partially_failed: 'That fail in part', success: 'That succeed', untriggered: 'That never ran', disabled: 'Disabled', enabled: 'Enabled',
};

export function Jobs() {
  const { q = '', status = '', sort = 'name', order = 'ASC', page = '1' } = route.value.query;
  const [marked, setMarked] = useState(new Set());
  const number = Math.max(Number.parseInt(page, 10) || 1, 1);
  const { data, error, reload, change } = useLoad((signal) => fetchPage({ q, status, sort, order, number }, signal), [q, status, sort, order, number]);
  const names = data?.jobs.map((job) => job.name) ?? [];
  const recent = useLoad((signal) => (names.length ? get('recent', { job: names }, { signal }) : Promise.resolve({})), [names.join('\n')]);
  const soon = useThrottled(() => {
    reload();
    recent.reload();
  }, 1000);
  useEvents(['job', 'execution'], names, (name, event) => {
    if (name === 'ready' || name === 'execution') soon();
    if (name !== 'job') return;
    if (event.job) change((old) => ({ ...old, jobs: old.jobs.map((job) => (job.name === event.name ? event.job : job)) }));
    soon();
  });
  return html`
    <${Heading} title="Jobs">
      ${mayWrite.value && html`<a class="button primary" href=${href(['new'])}><${Icon} name="plus" />New job</a>`}
    <//>
    <${Filters} q=${q} status=${status} />
    ${marked.size > 0 && html`<${Bulk} names=${[...marked]} done=${() => { setMarked(new Set()); reload(); }} />`}
    ${error && html`<${Failure} error=${error} />`}
    ${data && html`<${Card} flush title="">
      ${data.jobs.length ? html`<${JobsTable} jobs=${data.jobs} recent=${recent.data ?? {}} sort=${sort} order=${order}
          marked=${marked} onMark=${setMarked} />` : html`<${Empty}>${q || status ? 'No job is like that.' : 'There are no jobs yet.'}<//>`}
      <${Pager} page=${number} size=${PAGE} total=${data.total} onPage=${(next) => setQuery({ page: next === 1 ? '' : next })} />
    <//>`}`;
}

async function fetchPage({ q, status, sort, order, number }, signal) {
  const switched = { disabled: 'true', enabled: 'false' }[status];
  const query = {
    q, status: switched ? '' : status, disabled: switched, _sort: sort, _order: order,
    _start: (number - 1) * PAGE, _end: number * PAGE,
  };
  const response = await ask('GET', 'jobs', { query, signal });
  return { jobs: await response.json(), total: Number(response.headers.get('X-Total-Count')) };
}

function Filters({ q, status }) {
  const [text, setText] = useState(q);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const type = (event) => {
    setText(event.target.value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setQuery({ q: event.target.value.trim(), page: '' }), 150);
  };
  return html`<div class="filters" role="search">
    <input class="input search" type="search" placeholder="Search by name" aria-label="Search jobs by name" value=${text} onInput=${type} />
    <select class="input" aria-label="Which jobs" value=${status} onChange=${(event) => setQuery({ status: event.target.value, page: '' })}>
      ${Object.entries(FILTERS).map(([value, word]) => html`<option key=${value} value=${value}>${word}</option>`)}
    </select>
  </div>`;
}
