// Who changed a job, when, and what.
import { html } from '../lib.js';
import { get, jobPath } from '../core/api.js';
import { useLoad } from '../core/load.js';
import { relative, show } from '../core/time.js';
import { Difference } from '../parts/difference.js';
import { Card, Failure } from '../parts/page.js';

export function JobChanges({ job }) {
  const { data, error } = useLoad((signal) => get(jobPath(job.name, 'changes'), {}, { signal }), [job.name, job.updated_at]);
  if (error) return html`<${Failure} error=${error} />`;
  return html`<div class="stack">${data?.map((one) => html`<${Card} key=${one.at} title="${one.action} by ${one.by}" aside="${show(one.at, 'full', job.timezone)}, ${relative(one.at)}">
    ${Object.keys(one.changes).length ? html`<${Difference} changes=${one.changes} />` : html`<p class="muted">${one.action === 'changed' ? 'Nothing differs.' : 'The whole definition.'}</p>`}
  <//>`)}</div>`;
}
