// Where a run's time went: it waited to be decided, was on its way to its node, ran.
import { html } from '../lib.js';
import { ms, now, show, span } from '../core/time.js';
import { isOpen } from '../parts/state.js';

export function TimeSplit({ run, zone }) {
  const due = ms(run.fire_time ?? run.decided_at);
  const decided = Math.max(ms(run.decided_at), due);
  const started = run.started_at ? Math.max(ms(run.started_at), decided) : null;
  const end = run.finished_at ? ms(run.finished_at) : isOpen(run.state) ? now.value : (started ?? decided);
  const parts = [
    { name: 'waited', word: 'waited to be decided', length: decided - due },
    { name: 'dispatched', word: 'on its way to the node', length: started === null ? (run.attempt ? end - decided : 0) : started - decided },
    { name: 'ran', word: 'ran', length: started === null ? 0 : Math.max(end - started, 0) },
  ];
  const total = Math.max(parts.reduce((sum, part) => sum + part.length, 0), 1);
  return html`<div class="split">
    <div class="split-bar" aria-hidden="true">${parts.map((part) => html`<div key=${part.name} class=${part.name} style=${{ flexGrow: part.length / total }}></div>`)}</div>
    <table class="table"><caption class="unseen">Where its time went</caption><tbody>
      ${parts.map((part) => html`<tr key=${part.name}><td>${part.word}</td><td class="number">${span(part.length)}</td></tr>`)}
    </tbody></table>
    <p class="muted small">due ${show(due, 'full', zone)}${started ? `, began ${show(started, 'time', zone)}` : ''}${run.finished_at ? `, ended ${show(run.finished_at, 'time', zone)}` : ''}</p>
  </div>`;
}
