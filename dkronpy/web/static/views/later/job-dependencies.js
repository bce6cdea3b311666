// What a job runs after and what runs after it, drawn.
import { html } from '../../lib.js';
import { get, jobPath } from '../../core/api.js';
import { useLoad } from '../../core/load.js';
import { Card } from '../../parts/page.js';
import { Graph } from '../../charts/later/graph.js';

export function JobDependencies({ job, beat }) {
  const { data } = useLoad((signal) => get(jobPath(job.name, 'graph'), {}, { signal }), [job.name, beat]);
  if (!data || data.jobs.length < 2) return null;
  return html`<${Card} title="Dependencies" aside="solid: on success, dashed: on failure, dotted: on any end"><${Graph} jobs=${data.jobs} current=${job.name} /><//>`;
}
