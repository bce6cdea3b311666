// One execution: its output as it is written, its end, how it was decided.
import { html } from '../lib.js';
import { get, jobPath, post } from '../core/api.js';
import { useEvents } from '../core/live.js';
import { useLoad } from '../core/load.js';
import { href } from '../core/router.js';
import { mayWrite } from '../core/session.js';
import { ms, show, span } from '../core/time.js';
import { OutputPanel } from '../output/panel.js';
import { attempt, confirm } from '../parts/dialog.js';
import { Icon } from '../parts/icons.js';
import { Card, Facts, Failure, Heading } from '../parts/page.js';
import { elapsed } from '../parts/runs.js';
import { isOpen, reasonOf, State, TRIGGERS } from '../parts/state.js';
import { TimeSplit } from '../charts/time-split.js';

export function Execution({ job, id }) {
  const path = jobPath(job, 'executions', id);
  const { data: run, error, reload, change } = useLoad((signal) => get(path, { output_size_limit: 1 }, { signal }), [path]);
  const found = useLoad((signal) => get(jobPath(job), {}, { signal }), [job]);
  useEvents(['execution'], [job], (name, event) => {
    if (name === 'ready') reload();
    if (name === 'execution' && event.id === id) change((old) => ({ ...old, ...event }));
  });
  const crumbs = html`<a href=${href(['jobs'])}>Jobs</a> / <a href=${href(['jobs', job])}>${job}</a> / <a href=${href(['jobs', job], { tab: 'runs' })}>Runs</a>`;
  if (!run) return error ? html`<${Heading} title=${id} crumbs=${crumbs} /><${Failure} error=${error} />` : null;
  const zone = found.data?.timezone ?? '';
  const ran = run.attempt > 0;
  return html`
    <${Heading} title="Run of ${show(run.fire_time ?? run.decided_at, 'full', zone)}" crumbs=${crumbs}
        aside=${html`<div class="row"><${State} state=${run.state} /><span class="muted">${reasonOf(run)}</span></div>`}>
      ${mayWrite.value && html`<${Actions} run=${run} job=${job} />`}
    <//>
    <div class="stack">
      ${ran && html`<${OutputPanel} key=${id} path=${path} run=${run} onEnd=${(record) => record && change((old) => ({ ...old, ...record }))} />`}
      <div class="halves">
        <${Card} title="Where its time went" aside=${run.started_at ? `ran ${elapsed(run)}` : ''}><${TimeSplit} run=${run} zone=${zone} /><//>
        <${Card} title="How it came about"><${Decision} run=${run} job=${job} zone=${zone} /><//>
      </div>
    </div>`;
}

function Actions({ run, job }) {
  const kill = async () => {
    const text = run.attempt ? 'Its processes are asked to end, and killed if they do not.' : 'It waits; it will not run.';
    if (!(await confirm('Kill this run', text, { action: 'Kill', danger: true }))) return;
    await attempt(() => post(`${jobPath(job, 'executions', run.id)}/kill`, {}), 'The run was asked to end.');
  };
  const again = async () => {
    const env = Object.keys(run.env).length ? { env: run.env } : {};
    if (await attempt(() => post(jobPath(job, 'run'), env), `${job} was asked to run again.`)) location.hash = href(['jobs', job], { tab: 'runs' });
  };
  return html`
    ${isOpen(run.state) && html`<button type="button" class="button danger" onClick=${kill}><${Icon} name="stop" />Kill</button>`}
    <button type="button" class="button" onClick=${again}><${Icon} name="play" />Run again</button>`;
}

function Decision({ run, job, zone }) {
  const late = run.trigger === 'schedule' && run.started_at && run.fire_time ? ms(run.started_at) - ms(run.fire_time) : null;
  return html`<${Facts} facts=${[
    ['Started', TRIGGERS[run.trigger] ?? run.trigger],
    ['Asked for', run.triggered_by && `by ${run.triggered_by}${run.triggered_at ? `, ${show(run.triggered_at, 'full', zone)}` : ''}`],
    ['Because', run.trigger_description],
    ['Parents', run.parents?.length ? run.parents.map((parent) => html`<a key=${parent.job} href=${href(['jobs', parent.job])}>${parent.job}</a> `) : ''],
    ['Due', run.fire_time && html`<a href=${href(['jobs', job], { tab: 'explain', at: run.fire_time })}>${show(run.fire_time, 'full', zone)}</a>`],
    ['Stands for', run.count > 1 && `${run.count} fires, up to ${show(run.last_fire_time, 'full', zone)}`],
    ['Late by', late !== null && span(Math.max(late, 0))],
    ['Node', run.node_name && html`<a href=${href(['nodes', run.node_name])}>${run.node_name}</a>`],
    ['Attempt', run.attempt || ''],
    ['Exit code', run.exit_code],
    ['Error', run.error],
    ['Group', run.concurrency_group],
    ['Decided by', run.epoch ? `the leader of epoch ${run.epoch}` : ''],
    ['Replaced', run.replaced.length ? run.replaced.join('; ') : ''],
    ['Output', run.output_size ? `${run.output_size.toLocaleString('en')} bytes` : ''],
    ['SHA-256', run.output_sha256 && html`<code>${run.output_sha256}</code>`],
    ['Environment', Object.keys(run.env).length ? html`<pre>${Object.entries(run.env).map(([name, value]) => `${name}=${value}`).join('\n')}</pre>` : ''],
    ['Returned', run.return_data !== null && run.return_data !== undefined && html`<pre>${JSON.stringify(run.return_data, null, 1)}</pre>`],
    ['Id', html`<code>${run.id}</code>`],
  ]} />`;
}
