// What holds a job up or is still to come: places in its concurrency groups, runs asked for at a later time.
import { html } from '../lib.js';
import { ask, get, jobPath } from '../core/api.js';
import { useLoad } from '../core/load.js';
import { href } from '../core/router.js';
import { mayWrite } from '../core/session.js';
import { relative, show } from '../core/time.js';
import { attempt } from '../parts/dialog.js';
import { Card } from '../parts/page.js';

export function JobWaiting({ job, beat }) {
  const triggers = useLoad((signal) => get(jobPath(job.name, 'triggers'), {}, { signal }), [job.name, beat]);
  const groups = useLoad((signal) => Promise.all(job.concurrency_groups.map((name) => get(`groups/${encodeURIComponent(name)}`, {}, { signal }))),
    [job.name, beat, job.concurrency_groups.join(',')]);
  const asked = triggers.data ?? [];
  if (!asked.length && !groups.data?.length) return null;
  return html`<${Card} title="Groups and requests" flush><ul class="list">
    ${groups.data?.map((group) => html`<${Group} key=${group.name} group=${group} />`)}
    ${asked.map((trigger) => html`<${Asked} key=${trigger.triggered_at + trigger.at} job=${job} trigger=${trigger} reload=${triggers.reload} />`)}
  </ul><//>`;
}

function Group({ group }) {
  const others = (uses) => [...new Set(uses.map((use) => use.job))].slice(0, 5).map((name) => html`<a key=${name} href=${href(['jobs', name])}>${name}</a> `);
  return html`<li><span class="what">Group <strong>${group.name}</strong>: ${group.running.length} of ${group.max} ${group.max === 1 ? 'place' : 'places'} taken
    ${group.running.length > 0 && html` by ${others(group.running)}`}${group.waiting.length > 0 && html`; ${group.waiting.length} wait: ${others(group.waiting)}`}</span></li>`;
}

function Asked({ job, trigger, reload }) {
  // the group is a number that JavaScript rounds: the address is taken from what the list's text says
  const cancel = async () => {
    await attempt(async () => {
      const text = await (await ask('GET', jobPath(job.name, 'triggers'))).text();
      await ask('DELETE', jobPath(job.name, 'triggers', groupOf(text, trigger)));
    }, 'The run was cancelled.');
    reload();
  };
  return html`<li><span class="what">Asked to run ${show(trigger.at, 'full', job.timezone)} <span class="muted">(${relative(trigger.at)}) by ${trigger.triggered_by}${trigger.trigger_description ? `: ${trigger.trigger_description}` : ''}</span></span>
    ${mayWrite.value && html`<button type="button" class="button" onClick=${cancel}>Cancel</button>`}</li>`;
}

/** The exact group of a trigger, from the list's JSON text. */
function groupOf(text, trigger) {
  const groups = [...text.matchAll(/"group":(\d+)/g)].map((match) => match[1]);
  const group = groups.find((one) => Number(one) === trigger.group);
  if (!group) throw new Error('it has begun, or was cancelled already');
  return group;
}
