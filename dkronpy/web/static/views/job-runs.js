// A job's executions, by the fire that they belong to: its nodes and attempts.
import { html } from '../lib.js';
import { jobPath } from '../core/api.js';
import { route } from '../core/router.js';
import { StateFilter } from '../parts/run-filters.js';
import { RunPages } from '../parts/run-pages.js';

export function JobRuns({ job, beat }) {
  const { status = '' } = route.value.query;
  return html`<div class="filters"><${StateFilter} /></div>
    <${RunPages} path=${jobPath(job.name, 'executions')} query=${{ status }} beat=${beat} zone=${job.timezone} />`;
}
