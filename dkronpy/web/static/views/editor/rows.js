// A list in the form: rows that are added and removed, by mouse or keyboard.
import { html, useEffect, useRef, useState } from '../../lib.js';
import { Icon } from '../../parts/icons.js';
import { fieldId, Input } from './field.js';
import { listAt } from './fields.js';

/** Rows of `path`, and what adds and removes them. A row keeps its key however the others change. */
function useRows(form, path, blank) {
  const list = listAt(form.draft, path);
  const keys = useRef({ last: 0, held: [] });
  const box = useRef(null);
  const [told, setTold] = useState('');
  const [focus, setFocus] = useState(null);
  const { held } = keys.current;
  while (held.length < list.length) held.push(++keys.current.last);
  held.length = list.length;
  useEffect(() => {
    if (!focus) return;
    const rows = box.current.querySelectorAll(':scope > .entry');
    const row = rows[Math.min(focus.row, rows.length - 1)];
    (row?.querySelector(focus.added ? 'input, select, textarea' : '.remove') ?? box.current.querySelector('.add')).focus();
  }, [focus]);
  const add = () => {
    form.change(path, [...list, blank]);
    setTold('');
    setFocus({ row: list.length, added: true });
  };
  const remove = (index, title) => {
    held.splice(index, 1);
    form.change(path, list.filter((_, at) => at !== index));
    setTold(`${title} was removed.`);
    setFocus({ row: index, added: false });
  };
  return { list, keys: held, box, told, add, remove };
}

/**
 * A list of objects. `one`: what a row is called; `first`: the number of the first one; `blank`: a new row;
 * `row(path, value)`: what is in a row, `path` being its own.
 */
export function Rows({ form, path, one, blank, row, help, first = 1, most = 20 }) {
  const { list, keys, box, told, add, remove } = useRows(form, path, blank);
  return html`<div class="rows" ref=${box}>
    ${help && html`<p class="small muted">${help}</p>`}
    ${list.map((value, index) => {
      const title = `${one} ${index + first}`;
      return html`<fieldset key=${keys[index]} class="entry box"><legend class="unseen">${title}</legend>
        <div class="entry-head"><span class="entry-title" aria-hidden="true">${title}</span><${Remove} title=${title} onRemove=${() => remove(index, title)} /></div>
        <${Fault} form=${form} path="${path}.${index}" />
        <div class="fields">${row(`${path}.${index}`, value ?? {})}</div>
      </fieldset>`;
    })}
    <${Fault} form=${form} path=${path} />
    <${Add} one=${one} disabled=${list.length >= most} onAdd=${add} told=${told} />
  </div>`;
}

/** A list of names, one input each. `label`: what the list is called. */
export function Names({ form, path, kind, label, one, help, most = 20 }) {
  const { list, keys, box, told, add, remove } = useRows(form, path, '');
  return html`<div class="rows field wide" role="group" aria-label=${label} ref=${box}>
    <span class="label">${label}</span>
    ${help && html`<p class="small muted">${help}</p>`}
    ${list.map((name, index) => {
      const place = `${path}.${index}`;
      const title = `${one} ${index + 1}`;
      const fault = form.faults(place).join('; ');
      const shared = { id: fieldId(place), 'data-path': place, 'aria-label': title, 'aria-invalid': fault ? 'true' : undefined, 'aria-describedby': fault ? `${fieldId(place)}-fault` : undefined };
      return html`<div key=${keys[index]} class="entry name-row">
        <${Input} form=${form} field=${{ kind, empty: '' }} value=${name} onValue=${(value) => form.change(place, value)} shared=${shared} />
        <${Remove} title=${title} onRemove=${() => remove(index, title)} />
        ${fault && html`<p id="${fieldId(place)}-fault" class="small error" role="alert">${fault}</p>`}
      </div>`;
    })}
    <${Fault} form=${form} path=${path} />
    <${Add} one=${one} disabled=${list.length >= most} onAdd=${add} told=${told} />
  </div>`;
}

/** What is wrong with a list or a row as a whole. */
export function Fault({ form, path }) {
  const fault = form.faults(path).join('; ');
  return fault && html`<p class="small error" role="alert" tabindex="-1" data-path=${path}>${fault}</p>`;
}

function Remove({ title, onRemove }) {
  return html`<button type="button" class="button plain remove" aria-label="Remove ${title.toLowerCase()}" title="Remove" onClick=${onRemove}><${Icon} name="trash" /></button>`;
}

function Add({ one, disabled, onAdd, told }) {
  return html`<div class="row"><button type="button" class="button add" disabled=${disabled} onClick=${onAdd}><${Icon} name="plus" />Add a ${one.toLowerCase()}</button>
    <span class="unseen" role="status">${told}</span></div>`;
}
