// Why a job was not saved: everything that is wrong, each leading to its field.
import { html, useEffect, useRef } from '../../lib.js';

/** It has the focus after each `attempt`. `onElsewhere` shows the JSON, for what has no field in the form. */
export function Faults({ errors, attempt, onElsewhere }) {
  const box = useRef(null);
  useEffect(() => box.current.focus(), [attempt]);
  const lead = (path) => () => (placeOf(path) ?? (onElsewhere(), null))?.focus();
  return html`<div class="error-box" role="alert" tabindex="-1" ref=${box}>It was not saved.
    <ul>${errors.map(({ field, message }) => html`<li key=${field + message}>${field
      ? html`<button type="button" class="link" onClick=${lead(field)}>${field}</button> ` : ''}${message}</li>`)}</ul></div>`;
}

/** Where the form shows what is wrong with the value at a path, or with the whole that it is a part of. */
function placeOf(path) {
  for (let at = path; at; at = at.slice(0, Math.max(at.lastIndexOf('.'), 0))) {
    const found = [...document.querySelectorAll('.editor [data-path]')].filter((one) => one.dataset.path === at);
    const place = found.find((one) => one.ariaInvalid === 'true') ?? found[0];
    if (place) return place;
  }
  return null;
}
