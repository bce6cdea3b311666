// When a job does not run: calendars that others keep, and blackouts of its own.
import { html } from '../../lib.js';
import { Field } from './field.js';
import { Names, Rows } from './rows.js';

const KINDS = { once: 'once, from a time to a time', again: 'again and again, by a schedule' };
const BLANK = { start: null, end: null };

export function Exclusions({ form }) {
  return html`<div class="stack">
    <${Names} form=${form} path="calendars" kind="calendar" label="Calendars" one="Calendar" help="What a calendar covers is left out; so is what calendars for all jobs cover." />
    <div class="rows-part"><h3>Blackouts</h3>
      <${Rows} form=${form} path="blackouts" one="Blackout" blank=${BLANK} row=${(path, blackout) => html`<${Blackout} form=${form} path=${path} blackout=${blackout} />`}
        help="Times of this job alone at which it does not run." /></div>
  </div>`;
}

function Blackout({ form, path, blackout }) {
  const kind = blackout.schedule !== undefined || blackout.duration !== undefined ? 'again' : 'once';
  const turn = (event) => form.change(path, event.target.value === 'once' ? BLANK : { schedule: '', duration: '', timezone: '' });
  const id = `field-${path.replaceAll('.', '-')}-kind`;
  return html`<div class="field wide"><label for=${id}>It is</label>
      <select id=${id} class="input" value=${kind} onChange=${turn}>${Object.entries(KINDS).map(([one, word]) => html`<option key=${one} value=${one}>${word}</option>`)}</select></div>
    ${kind === 'once' ? html`
      <${Field} form=${form} field=${{ path: `${path}.start`, label: 'From', kind: 'time', help: 'On your clock.' }} />
      <${Field} form=${form} field=${{ path: `${path}.end`, label: 'To', kind: 'time', help: 'On your clock.' }} />` : html`
      <${Field} form=${form} field=${{ path: `${path}.schedule`, label: 'Begins', kind: 'text', mono: true, empty: '', help: 'A schedule, such as 0 0 22 * * FRI.' }} />
      <${Field} form=${form} field=${{ path: `${path}.duration`, label: 'For', kind: 'text', empty: '', help: 'How long, such as 8h.' }} />
      <${Field} form=${form} field=${{ path: `${path}.timezone`, label: 'Zone', kind: 'zone', empty: '', placeholder: form.draft.timezone || 'the servers’' }} />`}`;
}
