// The next fires on a line of time: a picture of the list that stands below it.
import { html } from '../lib.js';
import { href } from '../core/router.js';
import { ms, now, show } from '../core/time.js';

const NEAR = 3_600_000;
const ENOUGH = 3;

export function Timeline({ fires: all }) {
  const from = now.value;
  const near = all.filter(({ time }) => ms(time) < from + NEAR); // a far one would press the near ones together
  const fires = near.length >= ENOUGH ? near : all;
  const width = Math.max(ms(fires.at(-1).time) - from, 1000);
  return html`<div>
    <div class="timeline" aria-hidden="true">
      ${fires.map(({ job, time }) => html`<a key=${job} href=${href(['jobs', job])} tabindex="-1"
        title="${job}: ${show(time)}" style=${{ left: `${Math.min(Math.max((ms(time) - from) / width, 0), 1) * 98 + 1}%` }}></a>`)}
    </div>
    <div class="axis-labels"><span>now</span><span>${show(from + width / 2, 'time')}</span><span>${show(from + width, 'time')}</span></div>
  </div>`;
}
