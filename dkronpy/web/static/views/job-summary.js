// A job in short: facts, the next fires, the last runs.
import { html } from '../lib.js';
import { get, jobPath } from '../core/api.js';
import { useLoad } from '../core/load.js';
import { href } from '../core/router.js';
import { relative } from '../core/time.js';
import { Fires } from '../parts/fires.js';
import { ScheduleText } from '../parts/jobs-table.js';
import { Card, Empty, Facts, Failure } from '../parts/page.js';
import { lazy } from '../parts/lazy.js';
import { RunList } from '../parts/runs.js';
import { JobWaiting } from './job-waiting.js';

const JobDependencies = lazy(() => import('./later/job-dependencies.js'), 'JobDependencies');
const JobHistory = lazy(() => import('./later/job-history.js'), 'JobHistory');

export function JobSummary({ job, beat }) {
  const runs = useLoad((signal) => get(jobPath(job.name, 'executions'), { limit: 5, output_size_limit: 0 }, { signal }), [job.name, beat]);
  return html`<div class="stack">
    <div class="halves">
      <${Card} title="What it is"><${JobFacts} job=${job} /><//>
      <${NextFires} job=${job} />
    </div>
    <${JobWaiting} job=${job} beat=${beat} />
    <${Card} title="Last runs" flush aside=${html`<a href=${href(['jobs', job.name], { tab: 'runs' })}>all runs</a>`}>
      ${runs.error && html`<${Failure} error=${runs.error} />`}
      ${runs.data && html`<${RunList} runs=${runs.data} withJob=${false} empty="It has not run yet." />`}
    <//>
    <${JobHistory} job=${job} beat=${beat} />
    <${JobDependencies} job=${job} beat=${beat} />
  </div>`;
}

const OVERLAPS = {
  allow: 'runs may overlap', forbid: 'skips a fire while one runs', queue_one: 'one fire waits while one runs',
  queue_newest: 'one waits while one runs, the newest that was asked for', queue: 'fires wait while one runs',
  cancel_other: 'ends the run in flight', replace: 'kills the run in flight',
};

function Command({ text = '' }) {
  return text.includes('\n') ? html`<pre class="command" tabindex="0">${text}</pre>` : html`<code>${text}</code>`;
}

function JobFacts({ job }) {
  const pairs = (table) => Object.entries(table ?? {}).map(([key, value]) => html`<span key=${key} class="pill">${key}=${value}</span> `);
  const command = job.executor === 'shell' ? job.executor_config.command : job.executor_config.url;
  return html`<${Facts} facts=${[
    ['Schedule', html`<${ScheduleText} job=${job} />`],
    ['Zone', job.timezone || (job.schedule ? 'the servers’' : '')],
    ['After', job.depends_on && `${job.depends_on.require} of ${job.depends_on.parents.map((parent) => `${parent.job} (${parent.on})`).join(', ')}, within ${job.depends_on.window}`],
    ['Runs', html`<span class="pill">${job.executor}</span> <${Command} text=${command} />`],
    ['On', Object.keys(job.tags ?? {}).length ? pairs(job.tags) : 'every node'],
    ['Overlap', OVERLAPS[job.concurrency]],
    ['Groups', job.concurrency_groups.join(', ')],
    ['Retries', job.retries ? `${job.retries}, first after ${job.retry.initial}, on ${job.retry.on === 'any' ? 'any node' : 'the same node'}` : ''],
    ['Catch-up', `${job.catchup.policy} fires of the last ${job.catchup.window}`],
    ['Calendars', job.calendars.join(', ')],
    ['Blackouts', job.blackouts.length || ''],
    ['Parameters', job.parameters.length > 0 && job.parameters.map(({ name, default: normal }) => html`<span key=${name} class="pill">${name}${normal === null ? ' (needed)' : `=${normal}`}</span> `)],
    ['Started by', job.parent_job && html`<a href=${href(['jobs', job.parent_job])}>${job.parent_job}</a>`],
    ['Starts', job.dependent_jobs?.map((child) => html`<a key=${child} href=${href(['jobs', child])}>${child}</a> `)],
    ['Metadata', Object.keys(job.metadata ?? {}).length ? pairs(job.metadata) : ''],
    ['Succeeded', `${job.success_count.toLocaleString('en')} times${job.last_success ? `, last ${relative(job.last_success)}` : ''}`],
    ['Failed', job.error_count ? `${job.error_count.toLocaleString('en')} times, last ${relative(job.last_error)}` : ''],
  ]} />`;
}

function NextFires({ job }) {
  const { data, error } = useLoad((signal) => get(jobPath(job.name, 'next'), { count: 6 }, { signal }), [job.name, job.next, job.updated_at]);
  return html`<${Card} title="Next fires" aside=${data?.description}>
    ${error && html`<${Failure} error=${error} />`}
    ${data && data.fires.length === 0 && html`<${Empty}>${job.parent_job || job.depends_on ? 'Other jobs start it.' : job.disabled ? 'It is disabled.' : 'No fire is to come.'}<//>`}
    ${data && html`<${Fires} fires=${data.fires} job=${job} />`}
  <//>`;
}
