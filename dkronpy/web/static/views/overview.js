// Is the cluster well, what runs, what went wrong, what comes next.
import { html } from '../lib.js';
import { overview } from '../core/live.js';
import { href } from '../core/router.js';
import { mayWrite } from '../core/session.js';
import { ms, now, relative, span } from '../core/time.js';
import { Bars } from '../charts/bars.js';
import { Icon } from '../parts/icons.js';
import { Card, Empty, Heading } from '../parts/page.js';
import { Pause } from '../parts/pause.js';
import { RunList } from '../parts/runs.js';
import { Timeline } from '../charts/timeline.js';

export function Overview() {
  const state = overview.value;
  return html`
    <${Heading} title="Overview">${state && mayWrite.value && !state.pause.paused && html`<${Pause} />`}<//>
    ${state && html`<div class="stack">
      <${Health} state=${state} />
      <${Tiles} state=${state} />
      <${Card} title="The last hour" aside=${state.complete ? 'runs that ended each minute, and how late the latest began' : 'counting …'}>
        <${Bars} minutes=${state.minutes} />
      <//>
      <div class="halves">
        <${Card} title="Running now" flush aside=${inFlight(state.in_flight)}>
          <${RunList} runs=${state.runs} empty="Nothing runs at this moment." />
        <//>
        <${Card} title="Failed or missed in the last day" flush aside="the last of each job">
          <${RunList} runs=${state.problems} empty="Nothing failed, nothing was missed." />
        <//>
      </div>
      <${Upcoming} fires=${state.upcoming} complete=${state.complete} />
    </div>`}`;
}

function inFlight({ running, dispatched, queued }) {
  return [running && `${running} running`, dispatched && `${dispatched} sent`, queued && `${queued} waiting`].filter(Boolean).join(' · ');
}

/** What is wrong, in words; [] when the cluster is well. */
function troubles(state) {
  const found = [...state.issues];
  if (!state.leader) found.push('nobody leads: no job fires until a server is elected');
  if (state.store !== 'ok' && !state.issues.length) found.push("the store can't be reached");
  if (state.members.failed) found.push(`${state.members.failed} ${state.members.failed > 1 ? 'nodes have' : 'node has'} failed`);
  if (state.lag > 2) found.push(`fires are decided late: the oldest has been due for ${span(state.lag * 1000)}`);
  return found;
}

function Health({ state }) {
  const found = troubles(state);
  const { alive, servers, drained } = state.members;
  return html`<${Card} title="">
    <div class="health">
      <p class="verdict state tone-${found.length ? 'bad' : 'good'}"><${Icon} name=${found.length ? 'alert' : 'check'} />
        ${found.length ? found.join('; ') : 'The cluster is well'}</p>
      <dl>
        <div><dt>Leader</dt><dd>${state.leader ?? 'none'}</dd></div>
        <div><dt>Epoch</dt><dd>${state.epoch}</dd></div>
        <div><dt>Nodes</dt><dd><a href=${href(['nodes'])}>${alive}</a>, ${servers} ${servers === 1 ? 'server' : 'servers'}${drained ? `, ${drained} drained` : ''}</dd></div>
        <div><dt>Store</dt><dd>${state.backend}, ${state.store}</dd></div>
        <div><dt>Decisions</dt><dd>${state.lag > 0.5 ? `${span(state.lag * 1000)} behind` : 'up to date'}</dd></div>
      </dl>
    </div>
  <//>`;
}

function Tile({ figure, label, tone = '', to }) {
  const inner = html`<span class="figure ${figure ? tone : ''}">${figure.toLocaleString('en')}</span><span class="label">${label}</span>`;
  return to ? html`<a class="card tile" href=${to}>${inner}</a>` : html`<div class="card tile">${inner}</div>`;
}

function Tiles({ state }) {
  const { jobs, day, in_flight: flight } = state;
  return html`<div class="tiles">
    <${Tile} figure=${flight.running + flight.dispatched} label="running" to=${href(['runs'])} />
    <${Tile} figure=${jobs.failing} label="jobs that fail" tone="tone-bad" to=${href(['jobs'], { status: 'failed' })} />
    <${Tile} figure=${day.success} label="succeeded in a day" />
    <${Tile} figure=${day.failed} label="failed in a day" tone="tone-bad" to=${href(['runs'], { status: 'failed,timed_out,killed,lost' })} />
    <${Tile} figure=${day.missed} label="missed in a day" tone="tone-warn" to=${href(['runs'], { status: 'missed' })} />
    <${Tile} figure=${jobs.total} label=${jobs.disabled ? `jobs, ${jobs.disabled} disabled` : 'jobs'} to=${href(['jobs'])} />
  </div>`;
}

function Upcoming({ fires, complete }) {
  const coming = fires.filter((fire) => ms(fire.time) > now.value - 1000);
  return html`<${Card} title="Next fires" aside="one of each job">
    ${coming.length === 0 ? html`<${Empty}>${complete ? 'No job will fire on a schedule.' : 'looking …'}<//>` : html`
      <${Timeline} fires=${coming} />
      <ol class="upcoming">
        ${coming.slice(0, 8).map(({ job, time }) => html`<li key=${job}>
          <a href=${href(['jobs', job])}>${job}</a> <span class="muted">${relative(time)}</span></li>`)}
      </ol>`}
  <//>`;
}
