// What a job's runs can be told: parameters with a type, a default, choices.
import { html } from '../../lib.js';
import { Field, fieldId } from './field.js';
import { listAt } from './fields.js';
import { Rows } from './rows.js';

const TYPES = { string: 'text', integer: 'a whole number', number: 'a number', boolean: 'true or false' };
const BLANK = { name: '', type: 'string', default: '', choices: [], description: '' };

export function Parameters({ form }) {
  return html`<${Rows} form=${form} path="parameters" one="Parameter" blank=${BLANK} most=${100}
    row=${(path, parameter) => html`<${Parameter} form=${form} path=${path} parameter=${parameter} />`}
    help="Variables that whoever runs the job may set, and that its runs find in their environment." />`;
}

function Parameter({ form, path, parameter }) {
  const { type } = parameter;
  const choices = listAt(parameter, 'choices');
  const needed = (parameter.default ?? null) === null;
  const values = choices.length ? choices.map(String) : type === 'boolean' ? ['true', 'false'] : null;
  const turn = (to) => form.change(path, to === 'boolean' ? { ...parameter, type: to, choices: [], default: needed ? null : 'false' } : { ...parameter, type: to });
  const given = { path: `${path}.default`, label: 'Default', empty: '' };
  return html`
    <${Field} form=${form} field=${{ path: `${path}.name`, label: 'Name', kind: 'text', mono: true, empty: '', required: true, placeholder: 'DAY' }} />
    <${Field} form=${form} field=${{ path: `${path}.type`, label: 'It is', kind: 'choice', choices: TYPES, write: turn }} />
    ${type !== 'boolean' && html`<${Field} form=${form} field=${{ path: `${path}.choices`, label: 'Choices', kind: 'items', rows: 2, help: 'If it must be one of a few: one a line.' }} />`}
    ${!needed && html`<${Field} form=${form} field=${values ? { ...given, kind: 'choice', choices: Object.fromEntries(values.map((value) => [value, value])) } : { ...given, kind: 'text', mono: true }} />`}
    <${Field} form=${form} field=${{
      path: `${path}.default`, id: `${fieldId(path)}-needed`, label: 'Must be given with each run: it has no default', flag: { on: null, off: type === 'boolean' ? 'false' : choices[0] ?? '' }, silent: !needed,
    }} />
    <${Field} form=${form} field=${{ path: `${path}.description`, label: 'Description', kind: 'text', wide: true, empty: '' }} />`;
}
