// The nodes: state, version, tags, what runs on each.
import { html } from '../../lib.js';
import { get } from '../../core/api.js';
import { useEvents } from '../../core/live.js';
import { useLoad, useThrottled } from '../../core/load.js';
import { href } from '../../core/router.js';
import { Card, Failure, Heading } from '../../parts/page.js';
import { NodeState, Tags } from '../../parts/node.js';

export function Nodes() {
  const { data, error, reload } = useLoad((signal) => get('nodes', {}, { signal }), []);
  const soon = useThrottled(reload, 1000);
  useEvents(['execution', 'drain'], [], (name) => name !== 'pause' && soon()); // 'overview' too: it comes when a node comes or goes
  const most = Math.max(...(data ?? []).map((node) => node.running), 1);
  return html`<${Heading} title="Nodes" />
    ${error && html`<${Failure} error=${error} />`}
    ${data && html`<${Card} flush title=""><div class="scroll"><table class="table as-cards">
      <thead><tr>${['Node', 'State', 'Role', 'Version', 'Running', 'Tags'].map((title) => html`<th key=${title} scope="col">${title}</th>`)}</tr></thead>
      <tbody>${data.map((node) => html`<tr key=${node.name}>
        <td class="first"><a class="name" href=${href(['nodes', node.name])}>${node.name}</a><div class="muted small">${node.address}</div></td>
        <td><${NodeState} node=${node} /></td>
        <td>${node.leader ? html`<span class="pill busy">leader</span>` : node.server ? 'server' : 'agent'}</td>
        <td>${node.version}</td>
        <td><span class="meter"><meter min="0" max=${most} value=${node.running} aria-label="Runs on ${node.name}"></meter> ${node.running}${node.ordered ? html` <span class="muted">+${node.ordered} sent</span>` : ''}</span></td>
        <td class="wide"><${Tags} tags=${node.tags} /></td>
      </tr>`)}</tbody>
    </table></div><//>`}`;
}
