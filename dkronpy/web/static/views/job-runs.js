// A job's executions, by the fire that they belong to: its nodes and attempts. From here fires of the past are run.
import { html, useState } from '../lib.js';
import { ask, get, jobPath } from '../core/api.js';
import { useLoad } from '../core/load.js';
import { route } from '../core/router.js';
import { mayWrite } from '../core/session.js';
import { attempt } from '../parts/dialog.js';
import { lazy } from '../parts/lazy.js';
import { StateFilter } from '../parts/run-filters.js';
import { RunPages } from '../parts/run-pages.js';

const BackfillDialog = lazy(() => import('./later/job-backfill.js'), 'BackfillDialog');

export function JobRuns({ job, beat }) {
  const { status = '' } = route.value.query;
  const [asking, setAsking] = useState(false);
  const scheduled = job.schedule || job.schedules.length;
  return html`<div class="filters"><${StateFilter} /><span class="grow"></span>
      ${mayWrite.value && scheduled && html`<button type="button" class="button" onClick=${() => setAsking(true)}>Run fires of the past …</button>`}</div>
    <${Backfill} job=${job} beat=${beat} />
    <${RunPages} path=${jobPath(job.name, 'executions')} query=${{ status }} beat=${beat} zone=${job.timezone} />
    ${asking && html`<${BackfillDialog} job=${job} onClose=${() => setAsking(false)} />`}`;
}

/** How far the job's backfill has come, while it goes on. */
function Backfill({ job, beat }) {
  const { data } = useLoad((signal) => get('backfills', {}, { signal }), [job.name, beat]);
  const backfill = data?.find((one) => one.job_name === job.name);
  if (!backfill || !['running', 'cancelling'].includes(backfill.state)) return null;
  const cancel = () => attempt(() => ask('DELETE', jobPath(job.name, 'backfill')), 'No more fires of the past are started.');
  return html`<div class="notice" role="status"><span class="grow">Fires of the past: ${backfill.started} of ${backfill.total} started, ${backfill.in_flight} in flight.</span>
    ${mayWrite.value && backfill.state === 'running' && html`<button type="button" class="button" onClick=${cancel}>Stop</button>`}</div>`;
}
