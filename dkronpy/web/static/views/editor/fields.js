// What a job's form asks for, and what it says about it. `path` is where the value stands in the definition, and what the
// server names when something is wrong with it; `part`: a section that is more than fields.

const shell = (draft) => draft.executor === 'shell';
const http = (draft) => draft.executor === 'http';

export const SECTIONS = [
  {
    title: 'What it is',
    fields: [
      { path: 'name', label: 'Name', kind: 'text', help: 'Lower-case letters, digits, - and _. It can’t be changed later.', onlyNew: true, required: true },
      { path: 'displayname', label: 'Title', kind: 'text', help: 'What people call it.' },
      { path: 'owner', label: 'Owner', kind: 'text' },
      { path: 'owner_email', label: 'Owner’s mail', kind: 'text' },
      { path: 'metadata', label: 'Metadata', kind: 'pairs', help: 'key=value, one a line; for searching.' },
    ],
  },
  { title: 'When it runs', part: 'start' },
  { title: 'When it does not run', part: 'exclusions' },
  {
    title: 'What it runs',
    fields: [
      { path: 'executor', label: 'Executor', kind: 'choice', choices: { shell: 'a command', http: 'an HTTP request' } },
      { path: 'executor_config.command', label: 'Command', kind: 'lines', when: shell, required: true },
      { path: 'executor_config.shell', label: 'Run it by a shell: pipes, variables, several lines', kind: 'text-flag', when: shell },
      { path: 'executor_config.env', label: 'Environment', kind: 'text', mono: true, when: shell, help: 'NAME=value,OTHER=value' },
      { path: 'executor_config.cwd', label: 'Directory', kind: 'text', mono: true, when: shell },
      { path: 'executor_config.su', label: 'User', kind: 'text', when: shell, help: 'user or user:group; the agent must be root.' },
      { path: 'executor_config.mem_limit', label: 'Memory limit', kind: 'text', when: shell, help: 'Such as 512MB; what needs more is killed.' },
      { path: 'executor_config.method', label: 'Method', kind: 'text', when: http, required: true, placeholder: 'GET' },
      { path: 'executor_config.url', label: 'URL', kind: 'text', when: http, required: true },
      { path: 'executor_config.headers', label: 'Headers', kind: 'text', mono: true, when: http, help: 'A JSON list: ["Accept: text/plain"]' },
      { path: 'executor_config.body', label: 'Body', kind: 'lines', when: http },
      { path: 'executor_config.expectCode', label: 'Expected codes', kind: 'text', when: http, help: 'Such as 200,201; any 2xx without.' },
      { path: 'executor_config.expectBody', label: 'Expected in the body', kind: 'text', mono: true, when: http, help: 'A regular expression.' },
      { path: 'executor_config.timeout', label: 'Time limit', kind: 'text', help: 'Such as 10m; then it is ended.' },
    ],
  },
  { title: 'Parameters', part: 'parameters' },
  {
    title: 'Where it runs',
    fields: [
      { path: 'tags', label: 'Tags of its nodes', kind: 'pairs', help: 'key=value, one a line; role=web:1 runs on one of them. Without tags it runs on every node.' },
      { path: 'wait_for_target', label: 'Wait for a node', kind: 'text', help: 'How long a fire waits for a node with these tags, such as 5m.' },
    ],
  },
  {
    title: 'When something is late, overlaps or fails',
    fields: [
      {
        path: 'concurrency', label: 'While a run is in flight, a new fire', kind: 'choice',
        choices: { allow: 'runs beside it', forbid: 'is skipped', queue_one: 'waits, one at most', queue_newest: 'waits, the newest that was asked for', queue: 'waits its turn', cancel_other: 'ends the other first', replace: 'kills the other first' },
      },
      { path: 'concurrency_groups', label: 'Concurrency groups', one: 'Group', kind: 'names', of: 'group', most: 10, help: 'It runs when one of them has a place.' },
      { path: 'priority', label: 'Priority', kind: 'number', help: 'From −100 to 100, among those that wait for the same group.' },
      { path: 'queue_limit', label: 'Fires that may wait', kind: 'number' },
      { path: 'retries', label: 'Retries', kind: 'number' },
      { path: 'retry.initial', label: 'First retry after', kind: 'text' },
      { path: 'retry.on', label: 'Retry on', kind: 'choice', choices: { same: 'the same node', any: 'any node that fits' } },
      { path: 'catchup.window', label: 'Catch up', kind: 'text', help: 'How late a fire may still run, such as 10m.' },
      { path: 'catchup.policy', label: 'Of late fires run', kind: 'choice', choices: { all: 'all', latest: 'the latest', none: 'none' } },
    ],
  },
];

/** What the server tells of a job and nobody writes. */
const TOLD = new Set(['id', 'success_count', 'error_count', 'last_success', 'last_error', 'dependent_jobs', 'status', 'check', 'next', 'created_at', 'updated_at', 'running', 'source']);

/** The part of a job that its user writes. */
export function definitionOf(job) {
  return Object.fromEntries(Object.entries(job).filter(([field]) => !TOLD.has(field)));
}

/** A job to begin with. */
export const BLANK = Object.freeze({
  name: '', displayname: '', owner: '', owner_email: '', schedule: '@every 1h', timezone: '', tags: {}, metadata: {}, disabled: false,
  ephemeral: false, executor: 'shell', executor_config: { command: '', shell: 'true' }, concurrency: 'allow', concurrency_groups: [],
  retries: 0, catchup: { window: '1m', policy: 'all' }, retry: { initial: '1s', on: 'same' }, calendars: [], blackouts: [], schedules: [], parameters: [], priority: 0, queue_limit: 100,
});

export function valueAt(draft, path) {
  return path.split('.').reduce((value, key) => value?.[key], draft);
}

/** A list of the draft; none where its JSON has something else. */
export const listAt = (draft, path) => {
  const found = valueAt(draft, path);
  return Array.isArray(found) ? found : [];
};

/** The draft with another value at a path, whose numbers are places in lists; undefined removes a field. */
export function withValue(draft, path, value) {
  const [first, ...rest] = path.split('.');
  const changed = Array.isArray(draft) ? [...draft] : typeof draft === 'object' ? { ...draft } : {};
  if (rest.length) changed[first] = withValue(draft[first] ?? {}, rest.join('.'), value);
  else if (value === undefined) delete changed[first];
  else changed[first] = value;
  return changed;
}
