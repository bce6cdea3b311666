// Which view an address leads to. The first ones are part of the first load, the others come when they are needed.
import { lazy } from '../parts/lazy.js';
import { Execution } from './execution.js';
import { Job } from './job.js';
import { Jobs } from './jobs.js';
import { NotFound } from './not-found.js';
import { Overview } from './overview.js';

const Editor = lazy(() => import('./editor/editor.js'), 'Editor');
const Groups = lazy(() => import('./later/groups.js'), 'Groups');
const Load = lazy(() => import('./later/load.js'), 'Load');
const Node = lazy(() => import('./later/node.js'), 'Node');
const Nodes = lazy(() => import('./later/nodes.js'), 'Nodes');
const Runs = lazy(() => import('./later/runs.js'), 'Runs');

/** What the navigation leads to. */
export const VIEWS = [
  { name: 'overview', title: 'Overview', icon: 'overview' },
  { name: 'jobs', title: 'Jobs', icon: 'jobs' },
  { name: 'runs', title: 'Runs', icon: 'runs' },
  { name: 'nodes', title: 'Nodes', icon: 'nodes' },
  { name: 'groups', title: 'Groups', icon: 'groups' },
  { name: 'load', title: 'Coming load', icon: 'load' },
];

/** {component, props, key} of the view at this path and query; another `key` makes it anew. */
export function viewOf({ path, query }) {
  const [first, second, third, fourth] = path;
  const key = path.join('/');
  switch (first) {
    case undefined: return { component: Overview, props: {}, key };
    case 'jobs':
      if (third === 'executions' && fourth) return { component: Execution, props: { job: second, id: fourth }, key };
      return second ? { component: Job, props: { name: second }, key } : { component: Jobs, props: {}, key };
    case 'new': return { component: Editor, props: { from: query.from }, key: `new ${query.from ?? ''}` };
    case 'edit': return { component: second ? Editor : NotFound, props: { name: second }, key };
    case 'runs': return { component: Runs, props: {}, key };
    case 'nodes': return second ? { component: Node, props: { name: second }, key } : { component: Nodes, props: {}, key };
    case 'groups': return { component: Groups, props: {}, key };
    case 'load': return { component: Load, props: {}, key };
    default: return { component: NotFound, props: {}, key };
  }
}
