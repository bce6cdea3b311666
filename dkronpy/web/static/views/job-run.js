// Runs a job by hand: at a time, with values of its parameters and an environment, for a reason.
import { html, useState } from '../lib.js';
import { jobPath, post } from '../core/api.js';
import { Dialog, toast } from '../parts/dialog.js';

const TYPES = { string: 'text', integer: 'a whole number', number: 'a number', boolean: 'true or false' };

/** `onDone` is called once the run has been asked for. */
export function RunDialog({ job, onClose, onDone }) {
  const [text, setText] = useState('');
  const [at, setAt] = useState('');
  const [why, setWhy] = useState('');
  const [given, setGiven] = useState({});
  const [errors, setErrors] = useState([]);
  const [busy, setBusy] = useState(false);
  const said = (...fields) => errors.filter(({ field }) => fields.some((one) => field === one || field.startsWith(`${one}.`)));
  const named = job.parameters.flatMap(({ name }) => [`parameters.${name}`, `env.${name}`]);
  const claimed = new Set([...said('at'), ...said(...named), ...said('env')]);
  const rest = errors.filter((one) => !claimed.has(one));
  const submit = async (event) => {
    event.preventDefault();
    const env = {};
    for (const line of text.split('\n').map((one) => one.trim()).filter(Boolean)) {
      const equals = line.indexOf('=');
      if (equals < 1) return setErrors([{ field: 'env', message: `${line}: write NAME=value` }]);
      env[line.slice(0, equals)] = line.slice(equals + 1);
    }
    const asked = {};
    if (Object.keys(env).length) asked.env = env;
    if (Object.keys(given).length) asked.parameters = given;
    if (at) asked.at = new Date(at).toISOString();
    if (why) asked.description = why;
    setBusy(true);
    try {
      await post(jobPath(job.name, 'run'), asked);
    } catch (fault) {
      setBusy(false);
      return setErrors(fault.errors?.length ? fault.errors : [{ field: '', message: fault.message }]);
    }
    toast(`${job.name} was asked to run.`);
    onClose();
    return onDone();
  };
  return html`<${Dialog} title="Run ${job.name}" onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      ${rest.length > 0 && html`<div class="error-box" role="alert">${rest.map(({ field, message }) => `${field} ${message}`.trim()).join('; ')}</div>`}
      ${job.parameters.map((parameter) => html`<${Parameter} key=${parameter.name} parameter=${parameter} value=${given[parameter.name]}
        faults=${said(`parameters.${parameter.name}`, `env.${parameter.name}`)} onValue=${(value) => setGiven(changed(given, parameter.name, value))} />`)}
      <${Line} id="run-at" label="When" help="On your clock; now without a time." faults=${said('at')}>
        ${(shared) => html`<input ...${shared} type="datetime-local" step="1" value=${at} onInput=${(event) => setAt(event.target.value)} />`}<//>
      <${Line} id="run-env" label=${job.parameters.length ? 'Further environment of this run' : 'Environment of this run'} faults=${said('env').filter(({ field }) => !named.includes(field))}>
        ${(shared) => html`<textarea ...${shared} rows="3" placeholder="NAME=value, one a line" value=${text} onInput=${(event) => setText(event.target.value)}></textarea>`}<//>
      <${Line} id="run-why" label="Why">
        ${(shared) => html`<input ...${shared} value=${why} onInput=${(event) => setWhy(event.target.value)} />`}<//>
      <div class="actions">
        <button type="button" class="button" onClick=${onClose}>Cancel</button>
        <button type="submit" class="button primary" disabled=${busy}>Run</button>
      </div>
    </form>
  <//>`;
}

/** A label, an input (of what `children` makes of the attributes it needs), what it means, what is wrong with it. */
function Line({ id, label, help, faults = [], children }) {
  const wrong = faults.map((fault) => fault.message).join('; ');
  const about = [help && `${id}-help`, wrong && `${id}-fault`].filter(Boolean).join(' ');
  return html`<div><label for=${id}>${label}</label>
    ${children({ id, class: 'input', 'aria-invalid': wrong ? 'true' : undefined, 'aria-describedby': about || undefined })}
    ${help && html`<p id="${id}-help" class="small muted">${help}</p>`}
    ${wrong && html`<p id="${id}-fault" class="small error" role="alert">${wrong}</p>`}</div>`;
}

/** Values with one of them changed; '' takes it away. */
function changed(values, name, value) {
  const { [name]: _, ...others } = values;
  return value === '' ? others : { ...others, [name]: value };
}

/** One of the job's parameters; without a value it has its default, and one that has none is needed. */
function Parameter({ parameter, value = '', faults, onValue }) {
  const { name, type, default: normal, description } = parameter;
  const choices = parameter.choices.length ? parameter.choices : type === 'boolean' ? ['true', 'false'] : null;
  const needed = normal === null;
  const hint = needed ? 'needed' : choices ? '' : TYPES[type];
  const label = html`<code>${name}</code>${hint && html` <span class="muted">(${needed && !choices ? `${TYPES[type]}, needed` : hint})</span>`}`;
  return html`<${Line} id="run-parameter-${name}" label=${label} help=${description} faults=${faults}>
    ${(shared) => (choices ? html`<select ...${shared} required=${needed} value=${value} onChange=${(event) => onValue(event.target.value)}>
        <option value="">${needed ? '' : `${normal} (default)`}</option>
        ${choices.map((choice) => html`<option key=${choice} value=${choice}>${String(choice)}</option>`)}</select>`
      : html`<input ...${shared} required=${needed} value=${value} inputmode=${type === 'string' ? 'text' : type === 'integer' ? 'numeric' : 'decimal'}
          placeholder=${needed ? '' : `${normal} (default)`} onInput=${(event) => onValue(event.target.value)} />`)}<//>`;
}
