// What can be done with several jobs at once.
import { html, useState } from '../lib.js';
import { ask, jobPath } from '../core/api.js';
import { confirm, toast } from '../parts/dialog.js';
import { Icon } from '../parts/icons.js';

const AT_ONCE = 6;
const ACTIONS = [
  { word: 'Run', past: 'asked to run', icon: 'play', act: (name) => ask('POST', jobPath(name, 'run')) },
  { word: 'Enable', past: 'enabled', icon: 'check', act: (name) => ask('PATCH', jobPath(name), { body: { disabled: false } }) },
  { word: 'Disable', past: 'disabled', icon: 'power', act: (name) => ask('PATCH', jobPath(name), { body: { disabled: true } }) },
  { word: 'Delete', past: 'deleted', icon: 'trash', danger: true, act: (name) => ask('DELETE', jobPath(name)) },
];

export function Bulk({ names, done }) {
  const [busy, setBusy] = useState(false);
  const all = names.length === 1 ? '1 job' : `${names.length} jobs`;
  const perform = async ({ word, past, danger, act }) => {
    const text = `${word} ${names.length > 5 ? all : names.join(', ')}?`;
    if (!(await confirm(`${word} ${all}`, text, { action: word, danger }))) return;
    setBusy(true);
    const failures = await each(names, act);
    setBusy(false);
    if (failures.length) toast(`${names.length - failures.length} ${past}; ${failures.length} not: ${failures[0]}`, true);
    else toast(`${all} ${past}.`);
    done();
  };
  return html`<div class="bulk" role="group" aria-label="Marked jobs">
    <span class="grow">${all} marked</span>
    ${ACTIONS.map((action) => html`<button key=${action.word} type="button" class="button ${action.danger ? 'danger' : ''}" disabled=${busy}
      onClick=${() => perform(action)}><${Icon} name=${action.icon} />${action.word}</button>`)}
  </div>`;
}

/** Do it for each name, a few at a time; what went wrong, in words. */
async function each(names, act) {
  const left = [...names];
  const failures = [];
  const work = async () => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      try {
        await act(name);
      } catch (error) {
        failures.push(`${name}: ${error.message}`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return failures;
}
