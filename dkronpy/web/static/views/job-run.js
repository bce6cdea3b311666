// Runs a job by hand with an environment of its own.
import { html, useState } from '../lib.js';
import { Dialog } from '../parts/dialog.js';

export function RunDialog({ job, onClose, onRun }) {
  const [text, setText] = useState('');
  const [fault, setFault] = useState('');
  const submit = (event) => {
    event.preventDefault();
    const env = {};
    for (const line of text.split('\n').map((one) => one.trim()).filter(Boolean)) {
      const equals = line.indexOf('=');
      if (equals < 1) return setFault(`${line}: write NAME=value`);
      env[line.slice(0, equals)] = line.slice(equals + 1);
    }
    return onRun(env);
  };
  return html`<${Dialog} title="Run ${job.name}" onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <div>
        <label for="run-env">Environment of this run</label>
        <textarea id="run-env" class="input" rows="5" placeholder="NAME=value, one a line" value=${text} aria-invalid=${Boolean(fault)}
          aria-describedby="run-fault" onInput=${(event) => setText(event.target.value)}></textarea>
        <p id="run-fault" class="small error" role="alert">${fault}</p>
      </div>
      <div class="actions">
        <button type="button" class="button" onClick=${onClose}>Cancel</button>
        <button type="submit" class="button primary">Run</button>
      </div>
    </form>
  <//>`;
}
