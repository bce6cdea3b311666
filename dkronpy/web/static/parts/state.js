// The states of executions and jobs, as words, icons and colours; the reasons in words.
import { html } from '../lib.js';
import { Icon } from './icons.js';

export const STATES = {
  queued: { word: 'Waiting', tone: 'quiet', icon: 'clock' },
  dispatched: { word: 'Sent', tone: 'warn', icon: 'send' },
  running: { word: 'Running', tone: 'busy', icon: 'ring', turning: true },
  success: { word: 'Succeeded', tone: 'good', icon: 'check' },
  failed: { word: 'Failed', tone: 'bad', icon: 'cross' },
  timed_out: { word: 'Timed out', tone: 'bad', icon: 'clock' },
  killed: { word: 'Killed', tone: 'bad', icon: 'stop' },
  lost: { word: 'Lost', tone: 'bad', icon: 'question' },
  skipped: { word: 'Skipped', tone: 'quiet', icon: 'skip' },
  missed: { word: 'Missed', tone: 'warn', icon: 'alert' },
};
const OPEN = new Set(['queued', 'dispatched', 'running']);

export const isOpen = (state) => OPEN.has(state);
export const toneOf = (state) => STATES[state]?.tone ?? 'quiet';
export const wordOf = (state) => STATES[state]?.word ?? state;

export function State({ state }) {
  const { word, tone, icon, turning } = STATES[state] ?? { word: state, tone: 'quiet', icon: 'question' };
  return html`<span class="state tone-${tone}"><${Icon} name=${icon} className=${turning ? 'turning' : ''} />${word}</span>`;
}

const STATUSES = {
  '': { word: 'Never ran', tone: 'quiet', icon: 'clock' },
  success: { word: 'Succeeds', tone: 'good', icon: 'check' },
  failed: { word: 'Fails', tone: 'bad', icon: 'cross' },
  partially_failed: { word: 'Fails in part', tone: 'bad', icon: 'alert' },
};

/** How a job stands: switched off, running, or as its last runs ended. */
export function JobStatus({ job }) {
  if (job.running) {
    return html`<span class="state tone-busy"><${Icon} name="ring" className="turning" />${job.running > 1 ? `${job.running} run` : 'Runs'}</span>`;
  }
  if (job.disabled) return html`<span class="state tone-quiet"><${Icon} name="power" />Disabled</span>`;
  const { word, tone, icon } = STATUSES[job.status] ?? STATUSES[''];
  return html`<span class="state tone-${tone}"><${Icon} name=${icon} />${word}</span>`;
}

/** Why a fire did not run, or waits. */
const REASONS = {
  overlap: 'an earlier run was in flight',
  paused: 'all scheduling was paused',
  excluded: 'a calendar or blackout excluded its time',
  no_target: 'no alive node had its tags',
  outside_window: 'it was decided later than the catch-up window allows',
  superseded: 'there was a newer fire',
  not_wanted: 'it was late, and the job wants no late fires',
  too_many_targets: 'more nodes had its tags than one run can have',
  queue_full: 'as many of its fires waited as may',
  group_full: 'all places in its concurrency groups were taken',
  cancelled: 'somebody ended it while it waited',
  deleted: 'the job was deleted while it waited',
  disabled: 'the job was disabled, not begun or expired',
};
const WAITING = {
  overlap: 'waits for the end of an earlier run',
  group_full: 'waits for a place in its concurrency groups',
  no_target: 'waits for a node with its tags',
};

/** Why an execution is as it is, in one line; '' where its state says all. */
export function reasonOf(run) {
  const many = run.count > 1 ? `${run.count} fires: ` : '';
  if (run.state === 'queued') return WAITING[run.reason] ?? (run.reason ? REASONS[run.reason] ?? run.reason : 'waits to be tried again');
  if (run.reason) return many + (REASONS[run.reason] ?? run.reason);
  if (run.error) return run.error;
  if (run.exit_code !== null && run.exit_code !== undefined && run.exit_code !== 0) return `exit code ${run.exit_code}`;
  return '';
}

export const TRIGGERS = {
  schedule: 'on schedule', manual: 'by hand', parent: 'after its parent', backfill: 'by a backfill', create: 'when it was created', file: 'by a file', link: 'by a link',
};
