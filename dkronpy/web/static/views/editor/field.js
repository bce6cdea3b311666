// One field of the form: a label, an input, what it means, what is wrong with it.
import { html, useEffect, useRef, useState } from '../../lib.js';
import { valueAt } from './fields.js';

/** Ids of the lists that inputs are completed from, by the kind of field. */
const LISTS = { zone: 'zones', job: 'jobs', calendar: 'calendars', group: 'groups' };
/** Kinds whose value has parts: what is wrong with a part is shown at the whole. */
const COMPOSED = new Set(['items', 'pairs']);
const FLAGS = { flag: { on: true, off: false }, 'text-flag': { on: 'true', off: undefined } };

/**
 * `form`: as `useForm` gives it; `field`: as in fields.js, its `path` from the definition's root; `also`: what else is
 * wrong; `write(value)`: what a change does, where it changes more than the value.
 */
export function Field({ form, field }) {
  const id = field.id ?? fieldId(field.path);
  const value = valueAt(form.draft, field.path);
  const told = field.silent ? [] : form.faults(field.path, COMPOSED.has(field.kind));
  const fault = (told.length ? told : field.also ?? []).join('; ');
  const onValue = field.write ?? ((changed) => form.change(field.path, changed));
  const shared = {
    id, 'data-path': field.path, disabled: form.editing && field.onlyNew, 'aria-invalid': fault ? 'true' : undefined,
    'aria-describedby': `${field.help ? `${id}-help` : ''} ${fault ? `${id}-fault` : ''}`.trim() || undefined,
  };
  const notes = html`${field.help && html`<p id="${id}-help" class="small muted">${field.help}</p>`}
    ${fault && html`<p id="${id}-fault" class="small error" role="alert">${fault}</p>`}`;
  const flag = field.flag ?? FLAGS[field.kind];
  if (flag) {
    return html`<div class="field wide"><label class="check"><input type="checkbox" ...${shared} checked=${(value ?? null) === flag.on}
      onChange=${(event) => onValue(event.target.checked ? flag.on : flag.off)} />${field.label}</label>${notes}</div>`;
  }
  const wide = field.wide || ['lines', 'pairs'].includes(field.kind);
  return html`<div class="field ${wide ? 'wide' : ''}">
    <label for=${id}>${field.label}${field.required && html`<span class="muted"> (needed)</span>`}</label>
    <${Input} form=${form} field=${field} value=${value} onValue=${onValue} shared=${shared} />
    ${notes}
  </div>`;
}

export const fieldId = (path) => `field-${path.replaceAll('.', '-')}`;

/** The input alone, for where the label and what is wrong stand elsewhere. */
export function Input({ form, field, value, onValue, shared }) {
  const text = (event) => onValue(event.target.value === '' ? field.empty : event.target.value);
  switch (field.kind) {
    case 'choice': {
      const chosen = value ?? Object.keys(field.choices)[0];
      const choices = chosen in field.choices ? field.choices : { [chosen]: chosen || '–', ...field.choices };
      return html`<select class="input" ...${shared} value=${chosen} onChange=${(event) => onValue(event.target.value)}>
        ${Object.entries(choices).map(([choice, word]) => html`<option key=${choice} value=${choice}>${word}</option>`)}</select>`;
    }
    case 'lines':
      return html`<textarea class="input" rows="4" spellcheck="false" ...${shared} value=${value ?? ''} onInput=${text}></textarea>`;
    case 'number':
      return html`<input class="input" type="number" ...${shared} value=${value ?? ''}
        onInput=${(event) => onValue(event.target.value === '' ? undefined : Number(event.target.value))} />`;
    case 'time':
      return html`<input class="input" type="datetime-local" step="1" ...${shared} value=${localTime(value)}
        onInput=${(event) => onValue(event.target.value === '' ? undefined : new Date(event.target.value).toISOString())} />`;
    case 'pairs':
      return html`<${Typed} as="textarea" value=${value} write=${pairsText} read=${readPairs} onValue=${onValue} shared=${shared} rows=${field.rows} />`;
    case 'items':
      return html`<${Typed} as="textarea" value=${value} write=${(items) => (Array.isArray(items) ? items : []).join('\n')} read=${readItems} onValue=${onValue} shared=${shared} rows=${field.rows} />`;
    default: {
      const seek = (event) => {
        text(event);
        if (field.kind === 'job') form.seek(event.target.value);
      };
      return html`<input class="input ${field.mono ? 'mono' : ''}" type="text" autocomplete="off" spellcheck="false" ...${shared} value=${value ?? ''}
        placeholder=${field.placeholder ?? ''} list=${LISTS[field.kind]} onInput=${seek} />`;
    }
  }
}

/** An input whose text stands for a value: half-written text is not taken away from under the writer's hands. */
function Typed({ as, value, write, read, onValue, shared, rows = 3 }) {
  const element = useRef(null);
  const [text, setText] = useState(write(value));
  useEffect(() => {
    if (document.activeElement !== element.current) setText(write(value));
  }, [value]);
  const type = (event) => {
    setText(event.target.value);
    onValue(read(event.target.value));
  };
  return html`<${as} class="input mono" rows=${rows} spellcheck="false" ...${shared} ref=${element} value=${text} onInput=${type} />`;
}

/** A time as `datetime-local` has it, on the viewer's clock. */
function localTime(time) {
  const at = new Date(time ?? '');
  if (Number.isNaN(at.getTime())) return '';
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

const pairsText = (pairs) => Object.entries(pairs ?? {}).map(([key, value]) => `${key}=${value}`).join('\n');

const readItems = (text) => text.split('\n').map((line) => line.trim()).filter(Boolean);

function readPairs(text) {
  return Object.fromEntries(readItems(text).map((line) => {
    const equals = line.indexOf('=');
    return equals < 0 ? [line, ''] : [line.slice(0, equals).trim(), line.slice(equals + 1).trim()];
  }));
}

/** What inputs can be completed with: names by list. */
export function Completions({ names }) {
  const all = { ...names, zones: Intl.supportedValuesOf('timeZone') };
  return Object.entries(all).map(([id, found]) => html`<datalist key=${id} id=${id}>${found.map((name) => html`<option key=${name} value=${name} />`)}</datalist>`);
}
