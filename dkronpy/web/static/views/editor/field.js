// One field of the form: a label, an input, what it means, what is wrong with it.
import { html, useEffect, useRef, useState } from '../../lib.js';

const ZONES = 'zones';
const JOBS = 'jobs';

/** `errors`: messages of the server for this field. */
export function Field({ field, value, errors, onValue, disabled }) {
  const id = `field-${field.path.replaceAll('.', '-')}`;
  const fault = errors.join('; ');
  const shared = {
    id, disabled, 'aria-invalid': fault ? 'true' : undefined,
    'aria-describedby': `${field.help ? `${id}-help` : ''} ${fault ? `${id}-fault` : ''}`.trim() || undefined,
  };
  const notes = html`${field.help && html`<p id="${id}-help" class="small muted">${field.help}</p>`}
    ${fault && html`<p id="${id}-fault" class="small error" role="alert">${fault}</p>`}`;
  if (field.kind === 'flag' || field.kind === 'text-flag') {
    const [on, off] = field.kind === 'flag' ? [true, false] : ['true', undefined];
    return html`<div class="field wide"><label class="check"><input type="checkbox" ...${shared} checked=${value === on}
      onChange=${(event) => onValue(event.target.checked ? on : off)} />${field.label}</label>${notes}</div>`;
  }
  const wide = ['lines', 'pairs'].includes(field.kind) || field.path === 'schedule';
  return html`<div class="field ${wide ? 'wide' : ''}">
    <label for=${id}>${field.label}${field.required && html`<span class="muted"> (needed)</span>`}</label>
    <${Input} field=${field} value=${value} onValue=${onValue} shared=${shared} />
    ${notes}
  </div>`;
}

function Input({ field, value, onValue, shared }) {
  const text = (event) => onValue(event.target.value === '' ? undefined : event.target.value);
  switch (field.kind) {
    case 'choice':
      return html`<select class="input" ...${shared} value=${value ?? Object.keys(field.choices)[0]} onChange=${(event) => onValue(event.target.value)}>
        ${Object.entries(field.choices).map(([choice, word]) => html`<option key=${choice} value=${choice}>${word}</option>`)}</select>`;
    case 'lines':
      return html`<textarea class="input" rows="4" spellcheck="false" ...${shared} value=${value ?? ''} onInput=${text}></textarea>`;
    case 'number':
      return html`<input class="input" type="number" ...${shared} value=${value ?? ''}
        onInput=${(event) => onValue(event.target.value === '' ? undefined : Number(event.target.value))} />`;
    case 'pairs':
      return html`<${Typed} as="textarea" value=${value} write=${pairsText} read=${readPairs} onValue=${onValue} shared=${shared} />`;
    case 'words':
      return html`<${Typed} as="input" value=${value} write=${(words) => (words ?? []).join(', ')} read=${readWords} onValue=${onValue} shared=${shared} />`;
    default:
      return html`<input class="input ${field.mono ? 'mono' : ''}" type="text" autocomplete="off" spellcheck="false" ...${shared} value=${value ?? ''}
        placeholder=${field.placeholder ?? ''} list=${{ zone: ZONES, job: JOBS }[field.kind]} onInput=${text} />`;
  }
}

/** An input whose text stands for a value: half-written text is not taken away from under the writer's hands. */
function Typed({ as, value, write, read, onValue, shared }) {
  const element = useRef(null);
  const [text, setText] = useState(write(value));
  useEffect(() => {
    if (document.activeElement !== element.current) setText(write(value));
  }, [value]);
  const type = (event) => {
    setText(event.target.value);
    onValue(read(event.target.value));
  };
  return html`<${as} class="input mono" rows="3" spellcheck="false" ...${shared} ref=${element} value=${text} onInput=${type} />`;
}

const pairsText = (pairs) => Object.entries(pairs ?? {}).map(([key, value]) => `${key}=${value}`).join('\n');

function readPairs(text) {
  const lines = text.split('\n').map((line) => line.trim()).filter(Boolean);
  return Object.fromEntries(lines.map((line) => {
    const equals = line.indexOf('=');
    return equals < 0 ? [line, ''] : [line.slice(0, equals).trim(), line.slice(equals + 1).trim()];
  }));
}

const readWords = (text) => text.split(',').map((word) => word.trim()).filter(Boolean);

/** What inputs can be completed with. */
export function Completions({ jobs }) {
  return html`<datalist id=${ZONES}>${Intl.supportedValuesOf('timeZone').map((zone) => html`<option key=${zone} value=${zone} />`)}</datalist>
    <datalist id=${JOBS}>${jobs.map((name) => html`<option key=${name} value=${name} />`)}</datalist>`;
}
