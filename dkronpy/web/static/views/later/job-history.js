// A job's history in pictures: its days, how long its runs took, how late they began.
import { html, useMemo } from '../../lib.js';
import { get, jobPath } from '../../core/api.js';
import { useLoad } from '../../core/load.js';
import { clock } from '../../core/prefs.js';
import { dayKey, span } from '../../core/time.js';
import { Card, Empty, Failure } from '../../parts/page.js';
import { Calendar } from '../../charts/later/calendar.js';
import { Chart } from '../../charts/later/chart.js';

const KEPT = 2000;
const DRAWN = 500;
const GOOD = 'success';
const NOT_RUN = new Set(['skipped', 'missed']);
const OPEN = new Set(['queued', 'dispatched', 'running']);

export function JobHistory({ job, beat }) {
  const { data, error } = useLoad((signal) => get(jobPath(job.name, 'history'), { limit: KEPT }, { signal }), [job.name, beat]);
  const days = useMemo(() => (data ? byDay(data, job.timezone) : null), [data, clock.value]);
  const points = useMemo(() => (data ? drawn(data) : null), [data]);
  if (error) return html`<${Failure} error=${error} />`;
  if (!data) return null;
  if (!data.id.length) return html`<${Card} title="History"><${Empty}>It has not run yet.<//><//>`;
  const aside = data.more ? `its newest ${KEPT.toLocaleString('en')} runs` : `${data.id.length.toLocaleString('en')} runs are kept`;
  return html`
    <${Card} title="Its last year" aside=${aside}><${Calendar} days=${days} zone=${job.timezone} /><//>
    ${points.times.length > 1 && html`<div class="halves">
      <${Card} title="How long it took" aside="median ${span(points.median.took)}"><${Chart} times=${points.times} series=${points.took} zone=${job.timezone}
        told="Duration of the last ${points.times.length} runs, median ${span(points.median.took)}" /><//>
      <${Card} title="How late it began" aside="median ${span(points.median.late)}"><${Chart} times=${points.times} series=${points.late} zone=${job.timezone}
        told="Lateness of the last ${points.times.length} runs, median ${span(points.median.late)}" /><//>
    </div>`}`;
}

function byDay(data, zone) {
  const days = {};
  data.state.forEach((state, index) => {
    if (OPEN.has(state)) return;
    const day = (days[dayKey(data.fire[index], zone)] ??= { good: 0, bad: 0, none: 0 });
    if (NOT_RUN.has(state)) day.none += data.count[index];
    else day[state === GOOD ? 'good' : 'bad'] += 1;
  });
  return days;
}

/** The newest runs that ended, oldest first, as columns for charts (ms). */
function drawn(data) {
  const ran = data.state.map((_, index) => index).filter((index) => data.started[index] && data.finished[index]).slice(0, DRAWN).reverse();
  const took = ran.map((index) => data.finished[index] - data.started[index]);
  const late = ran.map((index) => Math.max(data.started[index] - data.fire[index], 0));
  const only = (values, good) => values.map((value, at) => ((data.state[ran[at]] === GOOD) === good ? value : null));
  return {
    times: ran.map((index) => data.fire[index]),
    took: [{ label: 'Succeeded', tone: '--fill-good', points: only(took, true) }, { label: 'Did not', tone: '--fill-bad', points: only(took, false) }],
    late: [{ label: 'Late by', tone: '--fill-busy', points: late }],
    median: { took: median(took), late: median(late) },
  };
}

function median(values) {
  return values.length ? [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] : null;
}
