// Concurrency groups: how many places each has, who holds them, who waits; defining one.
import { html, useState } from '../../lib.js';
import { ask, get } from '../../core/api.js';
import { useEvents } from '../../core/live.js';
import { useLoad, useThrottled } from '../../core/load.js';
import { href } from '../../core/router.js';
import { mayWrite } from '../../core/session.js';
import { attempt, Dialog } from '../../parts/dialog.js';
import { Card, Empty, Failure, Heading } from '../../parts/page.js';

const SHOWN = 8;
const HEARD = ['execution', 'job', 'group'];

export function Groups() {
  const { data, error, reload } = useLoad((signal) => get('groups', {}, { signal }), []);
  const [editing, setEditing] = useState(null);
  const soon = useThrottled(reload, 1000);
  useEvents(HEARD, [], (name) => (name === 'ready' || HEARD.includes(name)) && soon());
  const close = () => {
    setEditing(null);
    reload();
  };
  return html`<${Heading} title="Concurrency groups">
      ${mayWrite.value && html`<button type="button" class="button" onClick=${() => setEditing({ name: '', max: 1, description: '' })}>Define a group</button>`}
    <//>
    ${error && html`<${Failure} error=${error} />`}
    ${data && html`<${Card} flush title="">${data.length === 0 ? html`<${Empty}>No job names a group, and none is defined.<//>` : html`<div class="scroll"><table class="table as-cards">
      <thead><tr><th scope="col">Group</th><th scope="col" class="number">Places taken</th><th scope="col">By</th><th scope="col">Waiting</th>
        ${mayWrite.value && html`<th scope="col"><span class="unseen">Change</span></th>`}</tr></thead>
      <tbody>${data.map((group) => html`<tr key=${group.name}>
        <td class="first"><span class="name">${group.name}</span>${group.description && html`<div class="muted small">${group.description}</div>`}</td>
        <td class="number">${group.running.length} of ${group.max}</td>
        <td class="wide"><${Users} uses=${group.running} /></td>
        <td class="wide"><${Users} uses=${group.waiting} /></td>
        ${mayWrite.value && html`<td><button type="button" class="button" aria-label="Change ${group.name}" onClick=${() => setEditing(group)}>Change</button></td>`}
      </tr>`)}</tbody></table></div>`}<//>`}
    ${editing && html`<${GroupDialog} group=${editing} onClose=${close} />`}`;
}

function Users({ uses }) {
  if (!uses.length) return html`<span class="muted">–</span>`;
  const names = [...new Set(uses.map((use) => use.job))];
  return html`<span class="row">${names.slice(0, SHOWN).map((name) => html`<a key=${name} class="pill" href=${href(['jobs', name])}>${name}</a>`)}
    ${names.length > SHOWN && html`<span class="muted">and ${names.length - SHOWN} more</span>`}</span>`;
}

function GroupDialog({ group, onClose }) {
  const [name, setName] = useState(group.name);
  const [places, setPlaces] = useState(String(group.max));
  const [description, setDescription] = useState(group.description);
  const path = `groups/${encodeURIComponent(name)}`;
  const submit = async (event) => {
    event.preventDefault();
    const body = { max: Number(places), description };
    if (await attempt(() => ask('PUT', path, { body }), `${name} has ${places} ${places === '1' ? 'place' : 'places'}.`)) onClose();
  };
  const forget = async () => {
    if (await attempt(() => ask('DELETE', path), `${name} is defined no more.`)) onClose();
  };
  return html`<${Dialog} title=${group.name ? `Group ${group.name}` : 'Define a group'} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <div><label for="group-name">Name</label>
        <input id="group-name" class="input" required disabled=${Boolean(group.name)} value=${name} onInput=${(event) => setName(event.target.value)} /></div>
      <div><label for="group-places">Places</label>
        <input id="group-places" class="input" type="number" min="1" max="100000" required value=${places} aria-describedby="group-help" onInput=${(event) => setPlaces(event.target.value)} />
        <p id="group-help" class="small muted">So many runs of the jobs that name it are in flight at once.</p></div>
      <div><label for="group-description">Description</label>
        <input id="group-description" class="input" value=${description} onInput=${(event) => setDescription(event.target.value)} /></div>
      <div class="actions">
        ${group.defined && html`<button type="button" class="button danger" onClick=${forget}>Undefine</button>`}
        <button type="button" class="button" onClick=${onClose}>Cancel</button>
        <button type="submit" class="button primary">Save</button>
      </div>
    </form>
  <//>`;
}
