// What ended in each minute, stacked, and below how late the latest start on schedule was.
import { html } from '../lib.js';
import { ms, show, span } from '../core/time.js';

const ORDER = [['success', 'good', 'succeeded'], ['failed', 'bad', 'failed'], ['missed', 'warn', 'missed'], ['skipped', 'quiet', 'skipped']];
const HEIGHT = 100;
const LATE = 30;
const QUIET = 1; // seconds of lateness that fill the strip at least: a few ms are nothing to look at

export function Bars({ minutes }) {
  const count = minutes.success.length;
  const totals = minutes.success.map((_, index) => ORDER.reduce((sum, [name]) => sum + minutes[name][index], 0));
  const most = Math.max(...totals, 1);
  const late = Math.max(...minutes.late.map((value) => value ?? 0), 0);
  const start = ms(minutes.start);
  const told = ORDER.map(([name, , word]) => `${minutes[name].reduce((a, b) => a + b, 0)} ${word}`).join(', ');
  return html`<figure>
    <svg class="bars" viewBox="0 0 ${count * 10} ${HEIGHT}" preserveAspectRatio="none" role="img"
        aria-label="In the last hour: ${told}; the latest start was ${span(late * 1000)} late">
      <line class="axis" x1="0" x2=${count * 10} y1=${HEIGHT - 0.5} y2=${HEIGHT - 0.5} />
      ${totals.map((total, index) => column(minutes, index, total, most, start))}
    </svg>
    <svg class="bars late" viewBox="0 0 ${count * 10} ${LATE}" preserveAspectRatio="none" aria-hidden="true">
      ${minutes.late.map((value, index) => (value ? lateness(value, Math.max(late, QUIET), index, start) : null))}
    </svg>
    <div class="axis-labels"><span>${show(start, 'minute')}</span><span>at most ${most} ended in a minute, at most ${span(late * 1000)} late</span><span>${show(start + count * 60_000, 'minute')}</span></div>
    <figcaption class="legend">${[...ORDER, ['late', 'busy', 'late by (hanging)']].map(([name, tone, word]) => html`<span key=${name}>
      <svg viewBox="0 0 10 10" aria-hidden="true"><rect class="fill-${tone}" width="10" height="10" rx="2" /></svg>${word}</span>`)}</figcaption>
  </figure>`;
}

function lateness(value, most, index, start) {
  const height = Math.max((value / most) * LATE, 1);
  return html`<rect key=${index} class="fill-busy" x=${index * 10 + 1} y="0" width="8" height=${height}>
    <title>${show(start + index * 60_000, 'minute')}: latest start ${span(value * 1000)} late</title></rect>`;
}

function column(minutes, index, total, most, start) {
  let top = HEIGHT;
  const parts = ORDER.map(([name, tone]) => {
    const height = (minutes[name][index] / most) * (HEIGHT - 2);
    top -= height;
    return height ? html`<rect class="fill-${tone}" x=${index * 10 + 1} y=${top} width="8" height=${height} />` : null;
  });
  const late = minutes.late[index];
  return html`<g key=${index}>${parts}<rect x=${index * 10} y="0" width="10" height=${HEIGHT} fill="transparent">
    <title>${show(start + index * 60_000, 'minute')}: ${total} ended${late === null ? '' : `, latest start ${span(late * 1000)} late`}</title></rect></g>`;
}
