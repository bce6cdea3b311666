// The jobs that a job runs after: which, on what outcome, all or any of them.
import { html } from '../../lib.js';
import { Field } from './field.js';
import { listAt } from './fields.js';
import { Fault, Rows } from './rows.js';

const OUTCOMES = { success: 'succeeded', failure: 'failed', completion: 'ended, in any way' };
const REQUIRE = { all: 'all of them have: one run for all', any: 'any of them has: one run for each' };
const WHOLE = { parents: [], require: 'all', window: '24h' };

export function Parents({ form }) {
  const { draft, changeAll } = form;
  if (!draft.depends_on) {
    const several = () => changeAll({ ...draft, parent_job: '', depends_on: { ...WHOLE, parents: [{ job: draft.parent_job, on: 'success' }] } });
    return html`<div class="fields"><${Field} form=${form} field=${{
        path: 'parent_job', label: 'After every success of', kind: 'job', wide: true, empty: '', help: 'The job that starts this one, in place of a schedule.',
      }} />
      <div class="field wide"><button type="button" class="button start" onClick=${several}>Several jobs, or other outcomes …</button></div></div>`;
  }
  const many = listAt(draft, 'depends_on.parents').length > 1;
  return html`<${Rows} form=${form} path="depends_on.parents" one="Parent" blank=${{ job: '', on: 'success' }} row=${(path) => html`
      <${Field} form=${form} field=${{ path: `${path}.job`, label: 'Job', kind: 'job', empty: '', required: true }} />
      <${Field} form=${form} field=${{ path: `${path}.on`, label: 'When its run has', kind: 'choice', choices: OUTCOMES }} />`} />
    <${Fault} form=${form} path="depends_on" />
    ${many && html`<div class="fields">
      <${Field} form=${form} field=${{ path: 'depends_on.require', label: 'It runs when', kind: 'choice', choices: REQUIRE }} />
      ${draft.depends_on.require !== 'any' && html`<${Field} form=${form} field=${{
        path: 'depends_on.window', label: 'Within', kind: 'text', empty: '', help: 'How far apart their runs may end that count together, such as 24h.',
      }} />`}</div>`}`;
}

export const hasParents = (draft) => Boolean(draft.parent_job || draft.depends_on);

/** When it runs, in words. */
export function parentsInWords(draft) {
  const { parent_job: parent, depends_on: several } = draft;
  if (!several) return `After every success of ${parent}`;
  const words = { success: 'succeeded', failure: 'failed', completion: 'ended' };
  const told = listAt(draft, 'depends_on.parents').map((one) => (typeof one === 'string' ? { job: one } : one)).filter((one) => one?.job)
    .map((one) => `${one.job} has ${words[one.on] ?? words.success}`);
  if (!told.length) return 'After jobs that are still to be named';
  const all = several.require !== 'any';
  return `After ${told.join(all ? ' and ' : ' or ')}${all && told.length > 1 ? `, within ${several.window || '24h'}` : ''}`;
}
