// The days of the last year, each coloured by how its runs ended.
import { html } from '../../lib.js';
import { dayKey, show } from '../../core/time.js';

const CELL = 13;
const DAY = 86_400_000;
const WEEKS = 53;

/** `days`: {YYYY-MM-DD: {good, bad, none}} on the zone's clock. */
export function Calendar({ days, zone }) {
  const today = Date.now();
  const weekday = (new Date(`${dayKey(today, zone)}T12:00:00Z`).getUTCDay() + 6) % 7; // Monday is 0
  const cells = [];
  for (let back = (WEEKS - 1) * 7 + weekday; back >= 0; back -= 1) {
    const time = today - back * DAY;
    cells.push({ key: dayKey(time, zone), time });
  }
  const totals = { good: 0, bad: 0, none: 0 };
  for (const day of Object.values(days)) for (const name of Object.keys(totals)) totals[name] += day[name];
  const most = Math.max(...Object.values(days).map((day) => day.good + day.bad), 1);
  return html`<div class="scroll"><svg class="calendar" viewBox="0 0 ${WEEKS * CELL} ${7 * CELL + 14}" role="img"
      aria-label="In the last year: ${totals.good} runs succeeded, ${totals.bad} did not, ${totals.none} fires did not run">
    ${cells.map(({ key, time }, index) => {
      const [x, y] = [Math.floor(index / 7) * CELL, (index % 7) * CELL + 14];
      const first = index % 7 === 0 && Number(key.slice(8)) <= 7; // the month's first Monday
      return html`<g key=${key}>${first && html`<text x=${x} y="10">${show(time, 'month', zone)}</text>`}
        <${Day} x=${x} y=${y} day=${days[key]} most=${most} title=${show(time, 'day', zone)} /></g>`;
    })}
  </svg></div>`;
}

function Day({ x, y, day, most, title }) {
  const good = day?.good ?? 0;
  const bad = day?.bad ?? 0;
  const tone = bad ? 'fill-bad' : good ? 'fill-good' : day?.none ? 'fill-warn' : 'heat-0';
  const strength = good + bad ? 0.45 + 0.55 * ((good + bad) / most) : 1;
  const told = day ? `${good} succeeded, ${bad} did not${day.none ? `, ${day.none} fires did not run` : ''}` : 'no runs';
  return html`<g><rect class=${tone} x=${x} y=${y} width=${CELL - 2} height=${CELL - 2} rx="2" fill-opacity=${strength}><title>${title}: ${told}</title></rect>
    ${bad > 0 && html`<path class="calendar-mark" d="M${x + 3} ${y + 3}l5 5m0-5l-5 5" />`}</g>`;
}
