// Why a job ran, did not run or will run at a time.
import { html } from '../lib.js';
import { get, jobPath } from '../core/api.js';
import { useLoad } from '../core/load.js';
import { href, route, setQuery } from '../core/router.js';
import { show } from '../core/time.js';
import { Card, Facts, Failure } from '../parts/page.js';
import { RunList } from '../parts/runs.js';

const TONES = {
  ran: 'good', in_flight: 'busy', waiting: 'busy', will_run: 'busy', skipped: 'warn', missed: 'warn', undecided: 'warn', forgotten: '', will_not_run: 'warn', no_fire: '', no_job: '',
};

export function JobExplain({ job, beat }) {
  const at = route.value.query.at ?? '';
  const { data, error } = useLoad((signal) => get(jobPath(job.name, 'explain'), { at }, { signal }), [job.name, at, beat]);
  const choose = (event) => setQuery({ at: event.target.value ? new Date(event.target.value).toISOString() : '' });
  return html`<div class="stack">
    <div class="filters">
      <label for="explain-at">What about</label>
      <input id="explain-at" class="input when" type="datetime-local" step="1" value=${at ? local(at) : ''} onChange=${choose} />
      <span class="muted small">on your clock; without a time, the next fire</span>
    </div>
    ${error && html`<${Failure} error=${error} />`}
    ${data && html`<${Card} title="Because">
      <p class="because"><span class="pill ${TONES[data.verdict]}">${data.verdict.replaceAll('_', ' ')}</span> ${data.explanation}</p>
      <${Facts} facts=${[
        ['Asked about', show(data.at, 'full', job.timezone)],
        ['Fire', data.fire_time && show(data.fire_time, 'full', job.timezone)],
        ['The fire after', data.next && html`<a href=${href(['jobs', job.name], { tab: 'explain', at: data.next })}>${show(data.next, 'full', job.timezone)}</a>`],
        ['Defined', data.definition_since && `${show(data.definition_since, 'full', job.timezone)} by ${data.definition_by}`],
      ]} />
    <//>
    ${data.executions.length > 0 && html`<${Card} title="Its runs" flush><${RunList} runs=${data.executions} withJob=${false} /><//>`}`}
  </div>`;
}

/** A time as an input of type datetime-local wants it. */
function local(time) {
  const date = new Date(time);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
