// The next fires of a schedule: on the viewer's clock or the job's, and what a change of clocks does to them.
import { html } from '../lib.js';
import { clock } from '../core/prefs.js';
import { relative, show } from '../core/time.js';

const DST = {
  after_gap: 'its time is skipped by the change of clocks', first_of_two: 'its time comes twice; the first counts', clock_changed: 'clocks have changed',
};

/** `fires` as the API gives them, of a job or a draft: its schedules may be on clocks of their own. */
export function Fires({ fires, job }) {
  const zone = job.timezone;
  const several = job.schedules?.some?.((entry) => entry?.timezone && entry.timezone !== zone);
  return html`<ol class="stack-small">${fires.map((fire) => html`<li key=${fire.time} class="row">
    <span>${show(fire.time, 'full', zone)}</span><span class="muted">${relative(fire.time)}</span>
    ${(zone || several) && clock.value === 'viewer' && html`<span class="muted small">${fire.local.slice(11, 16)} ${several ? `at UTC${fire.local.slice(19)}` : `in ${zone}`}</span>`}
    ${fire.dst && html`<span class="pill warn">${DST[fire.dst]}</span>`}</li>`)}</ol>`;
}
