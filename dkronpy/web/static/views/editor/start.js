// What starts a job: its schedules, other jobs, or only people.
import { html, useRef, useState } from '../../lib.js';
import { Field } from './field.js';
import { listAt } from './fields.js';
import { hasParents, Parents } from './parents.js';
import { Schedules } from './schedules.js';

const MODES = { schedule: 'By schedule', parents: 'After other jobs', asked: 'Only when asked' };
const NOTHING = { schedule: '', schedules: [], parent_job: '', depends_on: null };
const BEGIN = {
  schedule: {},
  parents: { depends_on: { parents: [{ job: '', on: 'success' }], require: 'all', window: '24h' } },
  asked: { schedule: '@manually' },
};

const isManual = (draft) => String(draft.schedule).trim().toLowerCase() === '@manually' && !listAt(draft, 'schedules').length;

/** What the draft says, or, where it says nothing, what was chosen. */
function modeOf(draft, chosen) {
  if (hasParents(draft)) return 'parents';
  if (chosen === 'parents' && !draft.schedule && !listAt(draft, 'schedules').length) return 'parents';
  return chosen === 'asked' && isManual(draft) ? 'asked' : 'schedule';
}

/** What is given up by another choice is kept until the form is left, and comes back with the choice. */
export function Start({ form }) {
  const { draft, changeAll } = form;
  const [chosen, setChosen] = useState(isManual(draft) ? 'asked' : 'schedule');
  const kept = useRef({});
  const mode = modeOf(draft, chosen);
  const choose = (other) => {
    kept.current[mode] = Object.fromEntries(Object.keys(NOTHING).map((field) => [field, draft[field]]));
    setChosen(other);
    changeAll({ ...draft, ...NOTHING, ...(kept.current[other] ?? BEGIN[other]) });
  };
  return html`<fieldset class="modes"><legend>It runs</legend>
      ${Object.entries(MODES).map(([name, title]) => html`<label key=${name} class="mode"><input type="radio" name="start" value=${name}
        checked=${mode === name} onChange=${() => choose(name)} /><span>${title}</span></label>`)}</fieldset>
    ${mode === 'schedule' && html`<${Schedules} form=${form} />`}
    ${mode === 'parents' && html`<${Parents} form=${form} />`}
    ${mode === 'asked' && html`<p class="muted">It never fires by itself: it runs when a person, a program or a signed link asks for it.</p>`}
    <div class="fields">
      ${mode !== 'schedule' && html`<${Field} form=${form} field=${{ path: 'timezone', label: 'Zone', kind: 'zone', empty: '', placeholder: 'the servers’', wide: true, help: 'Whose days its calendars and blackouts mean.' }} />`}
      <${Field} form=${form} field=${{ path: 'starts_at', label: 'Not before', kind: 'time', help: 'On your clock.' }} />
      <${Field} form=${form} field=${{ path: 'expires_at', label: 'Not after', kind: 'time', help: 'On your clock.' }} />
      <${Field} form=${form} field=${{ path: 'disabled', label: 'Disabled: it does not fire by itself', kind: 'flag' }} />
      <${Field} form=${form} field=${{ path: 'ephemeral', label: 'Deleted after its first success', kind: 'flag' }} />
    </div>`;
}
