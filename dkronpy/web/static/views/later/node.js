// One node: what runs there, which jobs could, and letting it get no more runs.
import { html, useState } from '../../lib.js';
import { get, post } from '../../core/api.js';
import { useEvents } from '../../core/live.js';
import { useLoad, useThrottled } from '../../core/load.js';
import { href } from '../../core/router.js';
import { mayWrite } from '../../core/session.js';
import { show } from '../../core/time.js';
import { attempt, confirm } from '../../parts/dialog.js';
import { Card, Empty, Facts, Failure, Heading } from '../../parts/page.js';
import { NodeState, Tags } from '../../parts/node.js';
import { RunList } from '../../parts/runs.js';

export function Node({ name }) {
  const path = `nodes/${encodeURIComponent(name)}`;
  const [beat, setBeat] = useState(0);
  const { data: node, error, reload } = useLoad((signal) => get(path, {}, { signal }), [name, beat]);
  const runs = useLoad((signal) => get('executions', { node: name, limit: 15, output_size_limit: 0 }, { signal }), [name, beat]);
  const soon = useThrottled(() => setBeat((old) => old + 1), 1000);
  useEvents(['execution', 'drain'], [], (kind, event) => (kind === 'ready' || (kind === 'execution' && event.node_name === name) || (kind === 'drain' && event.node === name)) && soon());
  const drain = async () => {
    const text = `Runs in flight go on; jobs' tags pick ${name} no more until it is taken back.`;
    if (!(await confirm(`Drain ${name}`, text, { action: 'Drain' }))) return;
    await attempt(() => post(`${path}/drain`), `${name} gets no more runs.`);
    reload();
  };
  const undrain = async () => {
    await attempt(() => post(`${path}/undrain`), `${name} gets runs again.`);
    reload();
  };
  return html`<${Heading} title=${name} crumbs=${html`<a href=${href(['nodes'])}>Nodes</a>`} aside=${node && html`<${NodeState} node=${node} />`}>
      ${node && mayWrite.value && html`<button type="button" class="button" onClick=${node.drained ? undrain : drain}>${node.drained ? 'Take back' : 'Drain'}</button>`}
    <//>
    ${error && html`<${Failure} error=${error} />`}
    ${node && html`<div class="halves">
      <div class="stack">
        <${Card} title="What it is"><${Facts} facts=${[
          ['Role', node.leader ? 'server, leads' : node.server ? 'server' : 'agent'], ['Version', node.version], ['Gossip', node.address],
          ['Running', node.running], ['Sent', node.ordered || ''],
          ['Drained', node.drained && `since ${show(node.drained.since)} by ${node.drained.by}`],
          ['Tags', html`<${Tags} tags=${node.tags} all />`],
        ]} /><//>
        <${Card} title="Jobs that could run here" aside=${node.jobs_total > node.jobs.length ? `${node.jobs.length} of ${node.jobs_total}` : node.jobs_total}>
          ${node.jobs.length ? html`<p class="row">${node.jobs.map((job) => html`<a key=${job} class="pill" href=${href(['jobs', job])}>${job}</a>`)}</p>`
            : html`<${Empty}>${node.drained ? 'None: it is drained.' : 'None.'}<//>`}
        <//>
      </div>
      <${Card} title="Its runs" flush>${runs.error && html`<${Failure} error=${runs.error} />`}${runs.data && html`<${RunList} runs=${runs.data} empty="Nothing ran here." />`}<//>
    </div>`}`;
}
