// Creates and edits a job: a form that explains itself, the JSON beside it, the difference before it is saved.
import { html, useEffect, useRef, useState } from '../../lib.js';
import { ask, jobPath } from '../../core/api.js';
import { useLoad } from '../../core/load.js';
import { go, href } from '../../core/router.js';
import { mayWrite } from '../../core/session.js';
import { Difference, differences } from '../../parts/difference.js';
import { Dialog, toast } from '../../parts/dialog.js';
import { Card, Failure, Heading } from '../../parts/page.js';
import { Exclusions } from './exclusions.js';
import { Faults } from './faults.js';
import { Completions, Field } from './field.js';
import { BLANK, definitionOf, SECTIONS } from './fields.js';
import { useForm } from './form.js';
import { Json } from './json.js';
import { Parameters } from './parameters.js';
import { Preview } from './preview.js';
import { Names } from './rows.js';
import { Start } from './start.js';

const PARTS = { start: Start, exclusions: Exclusions, parameters: Parameters };

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
  const form = useForm(start, Boolean(name));
  const { draft, errors } = form;
  const [beside, setBeside] = useState('preview');
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const changes = differences(name ? before : {}, draft);
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
      form.refuse(fault.errors?.length ? fault.errors : [{ field: '', message: fault.message }]);
    }
  };
  const panel = useRef(null);
  const turned = useRef(false);
  useEffect(() => {
    if (turned.current) panel.current.scrollIntoView({ block: 'nearest' }); // on a phone it is below the form
  }, [beside]);
  const turn = (other) => {
    turned.current = true;
    setBeside(other);
  };
  return html`<form class="editor" onSubmit=${submit} novalidate>
    <div class="stack">
      ${errors.length > 0 && html`<${Faults} errors=${errors} attempt=${form.attempt} onElsewhere=${() => turn('JSON')} />`}
      ${SECTIONS.map((section) => html`<${Card} key=${section.title} title=${section.title}><${Section} form=${form} section=${section} /><//>`)}
      <${Completions} names=${form.names} />
    </div>
    <div class="beside stack">
      <div class="row deciding">
        <button type="submit" class="button primary" disabled=${busy || !mayWrite.value}>${name ? 'Save …' : 'Create'}</button>
        <a class="button" href=${name ? href(['jobs', name]) : href(['jobs'])}>Cancel</a>
        <span class="grow"></span>
        <div class="row" role="group" aria-label="Beside the form">
          ${['preview', 'JSON'].map((one) => html`<button key=${one} type="button" class="button" aria-pressed=${beside === one} onClick=${() => turn(one)}>${one === 'JSON' ? 'JSON' : 'Preview'}</button>`)}
        </div>
      </div>
      <div ref=${panel}>${beside === 'JSON' ? html`<${Json} draft=${draft} onDraft=${form.changeAll} />` : html`<${Preview} draft=${draft} preview=${form.preview} />`}</div>
    </div>
    ${asking && html`<${Dialog} title="Save ${name}?" onClose=${() => setAsking(false)}>
      ${Object.keys(changes).length ? html`<${Difference} changes=${changes} />` : html`<p>Nothing differs.</p>`}
      ${origin && html`<p class="tone-warn">It comes from ${origin} on the servers. Saving takes it over: from then on that directory does not change it.</p>`}
      <div class="actions"><button type="button" class="button" onClick=${() => setAsking(false)}>Back</button>
        <button type="button" class="button primary" onClick=${save}>Save</button></div>
    <//>`}
  </form>`;
}

function Section({ form, section }) {
  if (section.part) return html`<${PARTS[section.part]} form=${form} />`;
  const shown = section.fields.filter((field) => !field.when || field.when(form.draft));
  return html`<div class="fields">${shown.map((field) => (field.kind === 'names'
    ? html`<${Names} key=${field.path} form=${form} path=${field.path} kind=${field.of} label=${field.label} one=${field.one} most=${field.most} help=${field.help} />`
    : html`<${Field} key=${field.path} form=${form} field=${field} />`))}</div>`;
}
