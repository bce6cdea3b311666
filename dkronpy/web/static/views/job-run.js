// Runs a job by hand: at a time, with an environment, for a reason.
import { html, useState } from '../lib.js';
import { Dialog } from '../parts/dialog.js';

export function RunDialog({ job, onClose, onRun }) {
  const [text, setText] = useState('');
  const [at, setAt] = useState('');
  const [why, setWhy] = useState('');
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
    if (at) asked.at = new Date(at).toISOString();
    if (why) asked.description = why;
    return onRun(asked);
  };
  return html`<${Dialog} title="Run ${job.name}" onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <div><label for="run-at">When</label>
        <input id="run-at" class="input" type="datetime-local" step="1" value=${at} aria-describedby="run-at-help" onInput=${(event) => setAt(event.target.value)} />
        <p id="run-at-help" class="small muted">On your clock; now without a time.</p></div>
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
