// Creates and edits a job: a form that explains itself, the JSON beside it, the difference before it is saved.
import { html, useEffect, useState } from '../../lib.js';
import { ask, get, jobPath } from '../../core/api.js';
import { useLoad } from '../../core/load.js';
import { go, href } from '../../core/router.js';
import { mayWrite } from '../../core/session.js';
import { Difference, differences } from '../../parts/difference.js';
import { Dialog, toast } from '../../parts/dialog.js';
import { Card, Failure, Heading } from '../../parts/page.js';
import { Completions, Field } from './field.js';
import { BLANK, definitionOf, SECTIONS, valueAt, withValue } from './fields.js';
import { Json } from './json.js';
import { Preview, usePreview } from './preview.js';

/** `name`: the job to edit; `from`: the job to clone. */
export function Editor({ name, from }) {
  const source = name ?? from;
  const { data, error } = useLoad((signal) => (source ? fetchJob(source, signal) : Promise.resolve({ job: BLANK, tag: '' })), [source]);
  const title = name ? `Edit ${name}` : from ? `Clone of ${from}` : 'New job';
  const crumbs = html`<a href=${href(['jobs'])}>Jobs</a>${source && html` / <a href=${href(['jobs', source])}>${source}</a>`}`;
  return html`<${Heading} title=${title} crumbs=${crumbs} />
    ${error && html`<${Failure} error=${error} />`}
    ${data && html`<${Form} key=${source} name=${name} before=${data.job} tag=${data.tag} origin=${data.origin} start=${name || !from ? data.job : cloned(data.job)} />`}`;
}

async function fetchJob(name, signal) {
  const response = await ask('GET', jobPath(name), { signal });
  const job = await response.json();
  return { job: definitionOf(job), tag: response.headers.get('ETag'), origin: job.source };
}

function cloned(job) {
  return { ...job, name: `${job.name}-copy`, hash_id: job.hash_id === job.name ? '' : job.hash_id };
}

function Form({ name, before, tag, origin, start }) {
  const [draft, setDraft] = useState(start);
  const [beside, setBeside] = useState('preview');
  const [errors, setErrors] = useState([]);
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const preview = usePreview(draft);
  const parents = useLoad((signal) => get('jobs', { q: draft.parent_job, _end: 20 }, { signal }), [draft.parent_job]);
  const changes = differences(name ? before : {}, draft);
  useUnsaved(JSON.stringify(draft) !== JSON.stringify(start) && !busy);
  const submit = (event) => {
    event.preventDefault();
    if (name) setAsking(true);
    else save();
  };
  const save = async () => {
    setAsking(false);
    setBusy(true);
    try {
      if (name) await ask('PUT', jobPath(name), { body: draft, query: origin ? { take: 'true' } : {}, headers: { 'If-Match': tag } });
      else await ask('POST', 'jobs', { body: draft, headers: { 'If-None-Match': '*' } });
      toast(name ? `${name} was changed.` : `${draft.name} was created.`);
      go(['jobs', draft.name]);
    } catch (fault) {
      setBusy(false);
      setErrors(fault.errors?.length ? fault.errors : [{ field: '', message: fault.message }]);
    }
  };
  const told = [...errors, ...(preview.error?.errors ?? []).filter((fault) => !errors.some((one) => one.field === fault.field))];
  const known = new Set(SECTIONS.flatMap((section) => section.fields.map((field) => field.path)));
  const rest = errors.filter((fault) => !known.has(fault.field));
  return html`<form class="editor" onSubmit=${submit}>
    <div class="stack">
      ${errors.length > 0 && html`<${Faults} errors=${errors} rest=${rest} />`}
      ${SECTIONS.map((section) => html`<${Card} key=${section.title} title=${section.title}><div class="fields">
        ${section.fields.filter((field) => !field.when || field.when(draft)).map((field) => html`<${Field} key=${field.path} field=${field}
          value=${valueAt(draft, field.path)} disabled=${Boolean(name) && field.onlyNew}
          errors=${told.filter((fault) => fault.field === field.path).map((fault) => fault.message)}
          onValue=${(value) => setDraft((old) => withValue(old, field.path, value))} />`)}
      </div>${section.title === 'When it runs' && html`<${Further} draft=${draft} />`}<//>`)}
      <${Completions} jobs=${(parents.data ?? []).map((job) => job.name)} />
    </div>
    <div class="beside stack">
      <div class="row">
        <button type="submit" class="button primary" disabled=${busy || !mayWrite.value}>${name ? 'Save …' : 'Create'}</button>
        <a class="button" href=${name ? href(['jobs', name]) : href(['jobs'])}>Cancel</a>
        <span class="grow"></span>
        <div class="row" role="group" aria-label="Beside the form">
          ${['preview', 'JSON'].map((one) => html`<button key=${one} type="button" class="button" aria-pressed=${beside === one} onClick=${() => setBeside(one)}>${one === 'JSON' ? 'JSON' : 'Preview'}</button>`)}
        </div>
      </div>
      ${beside === 'JSON' ? html`<${Json} draft=${draft} onDraft=${setDraft} />` : html`<${Preview} draft=${draft} preview=${preview} />`}
    </div>
    ${asking && html`<${Dialog} title="Save ${name}?" onClose=${() => setAsking(false)}>
      ${Object.keys(changes).length ? html`<${Difference} changes=${changes} />` : html`<p>Nothing differs.</p>`}
      ${origin && html`<p class="tone-warn">It comes from ${origin} on the servers. Saving takes it over: from then on that directory does not change it.</p>`}
      <div class="actions"><button type="button" class="button" onClick=${() => setAsking(false)}>Back</button>
        <button type="button" class="button primary" onClick=${save}>Save</button></div>
    <//>`}
  </form>`;
}

function Faults({ errors, rest }) {
  useEffect(() => {
    document.querySelector('[aria-invalid="true"], .editor .error-box')?.focus();
  }, [errors]);
  return html`<div class="error-box" role="alert" tabindex="-1">It was not saved.
    ${rest.length > 0 ? html`<ul>${rest.map((fault) => html`<li>${fault.field} ${fault.message}</li>`)}</ul>` : ' The fields below say why.'}</div>`;
}

/** What of the timing is written as JSON only. */
function Further({ draft }) {
  const told = [
    draft.schedules?.length && `${draft.schedules.length} further schedules`, draft.blackouts?.length && `${draft.blackouts.length} blackouts`,
    draft.depends_on && 'several parents', draft.parameters?.length && `${draft.parameters.length} parameters`,
  ].filter(Boolean);
  return html`<p class="small muted further">${told.length ? `It also has ${told.join(', ')}: see the JSON. ` : ''}Further schedules (schedules), blackouts,
    several parents (depends_on) and parameters are written as JSON.</p>`;
}

/** Ask before an unsaved draft is left by closing the page. */
function useUnsaved(unsaved) {
  useEffect(() => {
    if (!unsaved) return undefined;
    const warn = (event) => event.preventDefault();
    addEventListener('beforeunload', warn);
    return () => removeEventListener('beforeunload', warn);
  }, [unsaved]);
}
