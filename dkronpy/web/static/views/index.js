// Which view an address leads to. The first ones are part of the first load, the others come when they are needed.
import { Overview } from './overview.js';
import { Jobs } from './jobs.js';
import { Job } from './job.js';
import { Execution } from './execution.js';
import { NotFound } from './not-found.js';

const at = (component) => {
  const load = () => Promise.resolve(component);
  return load;
};
const overview = at(Overview);
const jobs = at(Jobs);
const job = at(Job);
const execution = at(Execution);
const notFound = at(NotFound);

/** What the navigation leads to. */
export const VIEWS = [
  { name: 'overview', title: 'Overview', icon: 'overview' },
  { name: 'jobs', title: 'Jobs', icon: 'jobs' },
];

/** {load, props, key}: `load` promises the component, another `key` makes it anew. */
export function viewOf(path) {
  const key = path.join('/');
  const [first, name, sub, id] = path;
  if (first === 'jobs' && sub === 'executions' && id) return { load: execution, props: { job: name, id }, key };
  if (first === 'jobs' && name) return { load: job, props: { name }, key };
  if (first === 'jobs') return { load: jobs, props: {}, key };
  if (!first) return { load: overview, props: {}, key };
  return { load: notFound, props: {}, key };
}
