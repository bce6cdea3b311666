// One job: how it stands, what it did, what it will do, and what can be done with it.
import { html, useState } from '../lib.js';
import { ApiError, ask, get, jobPath, post } from '../core/api.js';
import { useEvents } from '../core/live.js';
import { useLoad, useThrottled } from '../core/load.js';
import { go, href, route } from '../core/router.js';
import { mayWrite } from '../core/session.js';
import { attempt, confirm } from '../parts/dialog.js';
import { Icon } from '../parts/icons.js';
import { Failure, Heading } from '../parts/page.js';
import { JobStatus } from '../parts/state.js';
import { RunDialog } from './job-run.js';
import { JobSummary } from './job-summary.js';
import { JobRuns } from './job-runs.js';
import { JobDefinition } from './job-definition.js';
import { JobExplain } from './job-explain.js';
import { JobChanges } from './job-changes.js';

const TABS = [
  { name: '', title: 'Overview', view: JobSummary },
  { name: 'runs', title: 'Runs', view: JobRuns },
  { name: 'explain', title: 'Explain', view: JobExplain },
  { name: 'changes', title: 'Changes', view: JobChanges },
  { name: 'definition', title: 'Definition', view: JobDefinition },
];

const HEARD = ['job', 'execution', 'trigger', 'backfill'];

export function Job({ name }) {
  const { data: job, error, reload, change } = useLoad((signal) => get(jobPath(name), {}, { signal }), [name]);
  const [beat, setBeat] = useState(0); // counts what happened to the job, so that its parts ask again
  const soon = useThrottled(() => {
    reload();
    setBeat((old) => old + 1);
  }, 1000);
  useEvents(HEARD, [name], (kind, event) => {
    if (kind === 'job' && event.job) change(() => event.job);
    if (kind === 'ready' || HEARD.includes(kind)) soon();
  });
  const tab = TABS.find((one) => one.name === (route.value.query.tab ?? '')) ?? TABS[0];
  if (error instanceof ApiError && error.status === 404) {
    return html`<${Heading} title=${name} crumbs=${html`<a href=${href(['jobs'])}>Jobs</a>`} /><${Failure} error=${error} />`;
  }
  if (!job) return error ? html`<${Failure} error=${error} />` : null;
  return html`
    <${Heading} title=${job.displayname && job.displayname !== name ? `${job.displayname} (${name})` : name}
        crumbs=${html`<a href=${href(['jobs'])}>Jobs</a>`} aside=${html`<div class="row small"><${JobStatus} job=${job} /><${Marks} job=${job} /></div>`}>
      ${mayWrite.value && html`<${Actions} job=${job} changed=${soon} />`}
    <//>
    <nav class="tabs" aria-label="Parts of the job">
      ${TABS.map((one) => html`<a key=${one.name} href=${href(['jobs', name], { tab: one.name })} aria-current=${one === tab ? 'page' : undefined}>${one.title}</a>`)}
    </nav>
    <${tab.view} job=${job} beat=${beat} />`;
}

function Marks({ job }) {
  return html`${job.disabled && html`<span class="pill">disabled</span>`}
    ${job.ephemeral && html`<span class="pill">ephemeral</span>`}
    ${job.source && html`<span class="pill" title="Jobs of this directory are changed there">from ${job.source}</span>`}
    ${job.owner && html`<span class="muted">owned by ${job.owner}</span>`}`;
}

/** `changed`: called when something was asked for that no event tells of. */
function Actions({ job, changed }) {
  const [asking, setAsking] = useState(false);
  const path = jobPath(job.name);
  const needy = job.parameters.some((parameter) => parameter.default === null);
  const take = job.source ? { take: 'true' } : {};
  const run = () => attempt(() => post(`${path}/run`, {}), `${job.name} was asked to run.`).then(changed);
  const turn = () => attempt(() => ask('PATCH', path, { body: { disabled: !job.disabled } }), job.disabled ? 'Enabled.' : 'Disabled.');
  const remove = async () => {
    const text = `Delete ${job.name}? It fires no more, and its runs and their output are deleted with it.${job.source ? ` It comes from ${job.source} on the servers.` : ''}`;
    if (!(await confirm('Delete the job', text, { action: 'Delete', danger: true }))) return;
    if (await attempt(() => ask('DELETE', path, { query: take }), `${job.name} was deleted.`)) go(['jobs']);
  };
  return html`
    <button type="button" class="button primary" onClick=${() => (needy ? setAsking(true) : run())}><${Icon} name="play" />Run now</button>
    <button type="button" class="button" onClick=${() => setAsking(true)}>Run with …</button>
    <a class="button" href=${href(['edit', job.name])}><${Icon} name="pencil" />Edit</a>
    <a class="button" href=${href(['new'], { from: job.name })}><${Icon} name="copy" />Clone</a>
    <button type="button" class="button" onClick=${turn}><${Icon} name="power" />${job.disabled ? 'Enable' : 'Disable'}</button>
    <button type="button" class="button danger" onClick=${remove}><${Icon} name="trash" />Delete</button>
    ${asking && html`<${RunDialog} job=${job} onClose=${() => setAsking(false)} onDone=${changed} />`}`;
}
