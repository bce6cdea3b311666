// How many fires come in each minute of the next day, of all jobs or of those with a tag.
import { html, useState } from '../../lib.js';
import { get } from '../../core/api.js';
import { useLoad } from '../../core/load.js';
import { route, setQuery } from '../../core/router.js';
import { ms, show } from '../../core/time.js';
import { Card, Failure, Heading } from '../../parts/page.js';

const CELL = 12;
const LEVELS = 5;

export function Load() {
  const tag = route.value.query.tag ?? '';
  const { data, error } = useLoad((signal) => get('schedule/heatmap', { minutes: 1440 }, { signal }), []);
  const row = data && (data.tags[tag] ?? data.total);
  return html`<${Heading} title="Coming load">
      ${data && html`<select class="input" aria-label="Of which jobs" value=${tag} onChange=${(event) => setQuery({ tag: event.target.value })}>
        <option value="">All jobs</option>
        ${Object.keys(data.tags).sort().map((name) => html`<option key=${name} value=${name}>${name === '*' ? 'Jobs without tags' : name}</option>`)}
      </select>`}
    <//>
    ${error && html`<${Failure} error=${error} />`}
    ${row && html`<${Card} title="Fires in each minute of the next day" aside="an hour in each row"><${Heat} start=${ms(data.start)} row=${row} /><//>`}`;
}

function Heat({ start, row }) {
  const [told, setTold] = useState(null);
  const most = Math.max(...row, 1);
  const total = row.reduce((sum, count) => sum + count, 0);
  const level = (count) => (count ? Math.ceil((count / most) * LEVELS) : 0);
  const hours = Array.from({ length: Math.ceil(row.length / 60) }, (_, hour) => row.slice(hour * 60, hour * 60 + 60));
  const point = (event) => setTold(event.target.dataset?.at ?? null);
  return html`<div class="scroll"><div class="heat" onMouseOver=${point} onMouseLeave=${() => setTold(null)}>
    <table><caption class="small muted">${told !== null ? `${show(start + told * 60_000, 'minute')}: ${row[told]} fires` : `${total.toLocaleString('en')} fires, at most ${most} in a minute`}</caption>
      <tbody>${hours.map((hour, index) => html`<tr key=${index}>
        <th scope="row" class="small muted nowrap">${show(start + index * 3_600_000, 'minute')}</th>
        <td><svg viewBox="0 0 ${60 * CELL} ${CELL}" role="img" aria-label="${hour.reduce((sum, count) => sum + count, 0)} fires">
          ${hour.map((count, minute) => html`<rect key=${minute} class="heat-${level(count)}" data-at=${index * 60 + minute} x=${minute * CELL + 1} y="1" width=${CELL - 2} height=${CELL - 2} rx="2" />`)}
        </svg></td>
        <td class="number small">${hour.reduce((sum, count) => sum + count, 0).toLocaleString('en')}</td>
      </tr>`)}</tbody></table>
  </div></div>`;
}
