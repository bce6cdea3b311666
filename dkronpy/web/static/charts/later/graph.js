// Jobs and what they run after, drawn from left to right.
import { html } from '../../lib.js';
import { href } from '../../core/router.js';

const [WIDTH, HEIGHT, GAP_X, GAP_Y] = [190, 40, 60, 14];
const TONES = { success: 'good', failed: 'bad', partially_failed: 'bad' };
const WORDS = { success: 'succeeds', failed: 'fails', partially_failed: 'fails in part', '': 'never ran' };

/** `jobs`: as `/v1/graph` shows them; `current` is drawn as the one we look at. */
export function Graph({ jobs, current }) {
  const places = placed(jobs);
  const columns = Math.max(...[...places.values()].map((place) => place.column)) + 1;
  const rows = Math.max(...[...places.values()].map((place) => place.row)) + 1;
  const at = (name) => {
    const { column, row } = places.get(name);
    return { x: column * (WIDTH + GAP_X), y: row * (HEIGHT + GAP_Y) };
  };
  const [width, height] = [columns * (WIDTH + GAP_X) - GAP_X, rows * (HEIGHT + GAP_Y) - GAP_Y];
  return html`<div class="scroll"><svg class="graph" width=${width + 4} height=${height + 4} viewBox="-2 -2 ${width + 4} ${height + 4}" role="group" aria-label="What runs after what">
    ${jobs.flatMap((job) => job.parents.filter((parent) => places.has(parent.job)).map((parent) => html`<${Edge} key="${parent.job} ${job.name}" from=${at(parent.job)} to=${at(job.name)} on=${parent.on} />`))}
    ${jobs.map((job) => html`<${Box} key=${job.name} job=${job} place=${at(job.name)} current=${job.name === current} />`)}
  </svg></div>`;
}

/** Each job right of all its parents; loops, which the server refuses, would end the walk. */
function placed(jobs) {
  const byName = new Map(jobs.map((job) => [job.name, job]));
  const columns = new Map();
  const column = (name, seen) => {
    if (columns.has(name)) return columns.get(name);
    if (seen.has(name)) return 0;
    const parents = byName.get(name).parents.filter((parent) => byName.has(parent.job));
    const found = parents.length ? Math.max(...parents.map((parent) => column(parent.job, new Set([...seen, name])))) + 1 : 0;
    columns.set(name, found);
    return found;
  };
  const rows = [];
  return new Map(jobs.map((job) => {
    const found = column(job.name, new Set());
    rows[found] = (rows[found] ?? -1) + 1;
    return [job.name, { column: found, row: rows[found] }];
  }));
}

function Edge({ from, to, on }) {
  const [x1, y1, x2, y2] = [from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
  const middle = (x1 + x2) / 2;
  return html`<g><path class="edge edge-${on}" d="M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2 - 5} ${y2}" /><path class="edge-head" d="M${x2 - 6} ${y2 - 4}l6 4l-6 4z" />
    <title>on ${on}</title></g>`;
}

function Box({ job, place, current }) {
  const tone = job.running ? 'busy' : job.disabled ? 'quiet' : TONES[job.status] ?? 'quiet';
  const told = job.running ? 'runs' : job.disabled ? 'disabled' : WORDS[job.status];
  const met = job.parents.filter((parent) => parent.met.length).length;
  const waits = job.require === 'all' && job.parents.length > 1 ? `, ${met} of ${job.parents.length} met` : '';
  const name = job.name.length > 24 ? `${job.name.slice(0, 23)}…` : job.name;
  return html`<a href=${href(['jobs', job.name])} aria-current=${current ? 'true' : undefined}>
    <rect class="box ${current ? 'current' : ''}" x=${place.x} y=${place.y} width=${WIDTH} height=${HEIGHT} rx="7" />
    <rect class="fill-${tone}" x=${place.x} y=${place.y + 8} width="4" height=${HEIGHT - 16} rx="2" />
    <text class="box-name" x=${place.x + 12} y=${place.y + 17}>${name}</text><text class="box-state" x=${place.x + 12} y=${place.y + 32}>${told}${waits}</text>
    <title>${job.name}: ${told}</title></a>`;
}
