// A job's last runs as a row of marks: how each ended by colour and shape, how long it took by height.
import { html } from '../lib.js';
import { span } from '../core/time.js';
import { toneOf, wordOf } from './state.js';

const WIDTH = 120;
const HEIGHT = 22;

/** `ticks` are newest first; drawn oldest first, ending at the right. */
export function Strip({ ticks, slots = 15 }) {
  if (!ticks) return html`<span class="strip"></span>`;
  const shown = ticks.slice(0, slots);
  const longest = Math.max(...shown.map((tick) => tick.seconds ?? 0), 0.001);
  const step = WIDTH / slots;
  const counts = {};
  for (const { state } of shown) counts[state] = (counts[state] ?? 0) + 1;
  const told = Object.entries(counts).map(([state, count]) => `${count} ${wordOf(state).toLowerCase()}`).join(', ');
  return html`<svg class="strip" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label=${told ? `Last runs: ${told}` : 'No runs yet'}>
    ${shown.map((tick, index) => mark(tick, WIDTH - (index + 1) * step, step, longest))}
  </svg>`;
}

function mark(tick, x, step, longest) {
  const tone = toneOf(tick.state);
  const title = html`<title>${wordOf(tick.state)}${tick.seconds === null ? '' : ` after ${span(tick.seconds * 1000)}`}</title>`;
  if (tick.state === 'skipped' || tick.state === 'missed') {
    return html`<rect key=${tick.id} class="fill-${tone}" x=${x + 1} y=${HEIGHT - 4} width=${step - 2} height="3" rx="1">${title}</rect>`;
  }
  const height = tone === 'bad' ? HEIGHT : 6 + 13 * Math.sqrt((tick.seconds ?? longest) / longest);
  return html`<g key=${tick.id}>
    <rect class="fill-${tone}" x=${x + 1} y=${HEIGHT - height} width=${step - 2} height=${height} rx="1.5">${title}</rect>
  </g>`;
}
