// Runs a job by hand: at a time, with values of its parameters and an environment, for a reason.
import { html, useState } from '../lib.js';
import { Dialog } from '../parts/dialog.js';

export function RunDialog({ job, onClose, onRun }) {
  const [text, setText] = useState('');
  const [at, setAt] = useState('');
  const [why, setWhy] = useState('');
  const [given, setGiven] = useState({});
  const [fault, setFault] = useState('');
  const submit = (event) => {
    event.preventDefault();
    const env = {};
    for (const line of text.split('\n').map((one) => one.trim()).filter(Boolean)) {
      const equals = line.indexOf('=');
      if (equals < 1) return setFault(`${line}: write NAME=value`);
      env[line.slice(0, equals)] = line.slice(equals + 1);
    }
    const asked = {};
    if (Object.keys(env).length) asked.env = env;
    if (Object.keys(given).length) asked.parameters = given;
    if (at) asked.at = new Date(at).toISOString();
    if (why) asked.description = why;
    return onRun(asked);
  };
  return html`<${Dialog} title="Run ${job.name}" onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <div><label for="run-at">When</label>
        <input id="run-at" class="input" type="datetime-local" step="1" value=${at} aria-describedby="run-at-help" onInput=${(event) => setAt(event.target.value)} />
        <p id="run-at-help" class="small muted">On your clock; now without a time.</p></div>
      ${job.parameters.map((parameter) => html`<${Parameter} key=${parameter.name} parameter=${parameter} value=${given[parameter.name]}
        onValue=${(value) => setGiven(changed(given, parameter.name, value))} />`)}
      <div><label for="run-env">Environment of this run</label>
        <textarea id="run-env" class="input" rows="4" placeholder="NAME=value, one a line" value=${text} aria-invalid=${fault ? 'true' : undefined}
          aria-describedby="run-fault" onInput=${(event) => setText(event.target.value)}></textarea>
        <p id="run-fault" class="small error" role="alert">${fault}</p></div>
      <div><label for="run-why">Why</label>
        <input id="run-why" class="input" value=${why} onInput=${(event) => setWhy(event.target.value)} /></div>
      <div class="actions">
        <button type="button" class="button" onClick=${onClose}>Cancel</button>
        <button type="submit" class="button primary">Run</button>
      </div>
    </form>
  <//>`;
}

/** Values with one of them changed; '' takes it away. */
function changed(values, name, value) {
  const { [name]: _, ...others } = values;
  return value === '' ? others : { ...others, [name]: value };
}

/** One of the job's parameters; without a value it has its default, and one that has none is needed. */
function Parameter({ parameter, value = '', onValue }) {
  const { name, type, default: normal, description } = parameter;
  const choices = parameter.choices.length ? parameter.choices : type === 'boolean' ? ['true', 'false'] : null;
  const needed = normal === null;
  const id = `run-parameter-${name}`;
  const shared = { id, class: 'input', value, required: needed, 'aria-describedby': description ? `${id}-help` : undefined };
  return html`<div><label for=${id}><code>${name}</code>${needed && html`<span class="muted"> (needed)</span>`}</label>
    ${choices ? html`<select ...${shared} onChange=${(event) => onValue(event.target.value)}>
        <option value="">${needed ? '' : `${normal} (default)`}</option>
        ${choices.map((choice) => html`<option key=${choice} value=${choice}>${String(choice)}</option>`)}</select>`
      : html`<input ...${shared} inputmode=${type === 'string' ? 'text' : 'decimal'} placeholder=${needed ? '' : String(normal)} onInput=${(event) => onValue(event.target.value)} />`}
    ${description && html`<p id="${id}-help" class="small muted">${description}</p>`}</div>`;
}
