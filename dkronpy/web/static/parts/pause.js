// Pauses all scheduling, for a reason that everybody sees.
import { html, useState } from '../lib.js';
import { post } from '../core/api.js';
import { attempt, Dialog } from './dialog.js';
import { Icon } from './icons.js';

export function Pause() {
  const [asking, setAsking] = useState(false);
  const [reason, setReason] = useState('');
  const submit = async (event) => {
    event.preventDefault();
    if (await attempt(() => post('pause', { reason }), 'All scheduling is paused.')) setAsking(false);
  };
  return html`<button type="button" class="button" onClick=${() => setAsking(true)}><${Icon} name="pause" />Pause scheduling</button>
    ${asking && html`<${Dialog} title="Pause all scheduling" onClose=${() => setAsking(false)}>
      <form class="stack" onSubmit=${submit}>
        <p>No job fires until it is ended; fires in between are recorded as skipped. Runs in flight go on.</p>
        <div><label for="pause-reason">Reason</label>
          <input id="pause-reason" class="input" autofocus value=${reason} onInput=${(event) => setReason(event.target.value)} /></div>
        <div class="actions"><button type="button" class="button" onClick=${() => setAsking(false)}>Cancel</button>
          <button type="submit" class="button primary">Pause</button></div>
      </form>
    <//>`}`;
}
