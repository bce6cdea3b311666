// Runs fires of the past: what would be run is shown before it is.
import { html, useState } from '../../lib.js';
import { ask, jobPath, post } from '../../core/api.js';
import { show } from '../../core/time.js';
import { attempt, Dialog } from '../../parts/dialog.js';

const POLICIES = { missing: 'that did not run', failed: 'that did not run or failed', all: 'all' };
const SHOWN = 12;

export function BackfillDialog({ job, onClose }) {
  const [from, setFrom] = useState('');
  const [to, setTo] = useState('');
  const [policy, setPolicy] = useState('missing');
  const [choice, setChoice] = useState(null);
  const changed = (set) => (event) => {
    setChoice(null);
    set(event.target.value);
  };
  const body = (dry) => ({
    from: new Date(from).toISOString(), to: to ? new Date(to).toISOString() : undefined, policy, dry_run: dry,
  });
  const submit = async (event) => {
    event.preventDefault();
    const path = jobPath(job.name, 'backfill');
    if (!choice) return setChoice(await attempt(() => post(path, body(true))));
    if (await attempt(() => ask('POST', path, { body: body(false) }), `${choice.fires.length} fires of ${job.name} are run.`)) onClose();
    return undefined;
  };
  return html`<${Dialog} title="Run fires of the past" onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <div><label for="backfill-from">From</label>
        <input id="backfill-from" class="input" type="datetime-local" step="1" required value=${from} onInput=${changed(setFrom)} /></div>
      <div><label for="backfill-to">To</label>
        <input id="backfill-to" class="input" type="datetime-local" step="1" value=${to} aria-describedby="backfill-help" onInput=${changed(setTo)} />
        <p id="backfill-help" class="small muted">Both on your clock; up to now without an end.</p></div>
      <div><label for="backfill-policy">Fires</label>
        <select id="backfill-policy" class="input" value=${policy} onChange=${changed(setPolicy)}>
          ${Object.entries(POLICIES).map(([value, word]) => html`<option key=${value} value=${value}>${word}</option>`)}</select></div>
      ${choice && html`<${Choice} choice=${choice} zone=${job.timezone} />`}
      <div class="actions">
        <button type="button" class="button" onClick=${onClose}>Cancel</button>
        <button type="submit" class="button primary" disabled=${choice && !choice.fires.length}>${choice ? `Run ${choice.fires.length} fires` : 'Show what would run'}</button>
      </div>
    </form>
  <//>`;
}

function Choice({ choice, zone }) {
  const { fires } = choice;
  const told = Object.entries(choice.left_out).map(([reason, count]) => `${count} ${reason.replaceAll('_', ' ')}`).join(', ');
  return html`<div role="status"><p>${fires.length === 0 ? 'No fire would run.' : `${fires.length} fires would run, one after the other:`}</p>
    <ol class="small">${fires.slice(0, SHOWN).map((time) => html`<li key=${time}>${show(time, 'full', zone)}</li>`)}</ol>
    ${told && html`<p class="small muted">Left out: ${told}.</p>`}
    ${fires.length > SHOWN && html`<p class="small muted">and ${fires.length - SHOWN} more</p>`}</div>`;
}
