// A node's state and its tags.
import { html } from '../lib.js';
import { Icon } from './icons.js';

const STATES = { alive: ['good', 'check', 'Alive'], failed: ['bad', 'cross', 'Failed'], leaving: ['warn', 'send', 'Leaves'], left: ['quiet', 'power', 'Left'] };

export function NodeState({ node }) {
  const [tone, icon, word] = node.drained && node.status === 'alive' ? ['warn', 'pause', 'Drained'] : STATES[node.status] ?? ['quiet', 'question', node.status];
  return html`<span class="state tone-${tone}"><${Icon} name=${icon} />${word}</span>`;
}

/** What every node has says nothing. */
const DULL = new Set(['node', 'rpc_addr', 'port', 'dkron_rpc_addr', 'http_addr', 'version', 'dkron_version', 'dkron_server', 'server', 'role']);

export function Tags({ tags, all = false }) {
  const shown = Object.entries(tags ?? {}).filter(([key, value]) => all || !DULL.has(key) || (key === 'role' && value !== 'dkron'));
  return html`<span class="row">${shown.map(([key, value]) => html`<span key=${key} class="pill">${key}=${value}</span>`)}</span>`;
}
