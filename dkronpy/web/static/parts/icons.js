// Icons as paths in a square of 16: drawn with lines in the colour of the text around them.
import { html } from '../lib.js';

const PATHS = {
  overview: 'M2 9h3l2-6 3 10 2-4h2',
  jobs: 'M2.5 4h11M2.5 8h11M2.5 12h7',
  runs: 'M4 3l9 5-9 5z',
  nodes: 'M3 3h10v4H3zM3 9h10v4H3zM5 5h.01M5 11h.01',
  groups: 'M2.5 2.5h4.5v4.5h-4.5zM9 2.5h4.5v4.5H9zM2.5 9h4.5v4.5h-4.5zM9 9h4.5v4.5H9z',
  load: 'M2 13V9M6 13V4M10 13V7M14 13V2',
  check: 'M3 8.5l3.2 3.2L13 4.5',
  cross: 'M4 4l8 8M12 4l-8 8',
  clock: 'M8 2a6 6 0 100 12A6 6 0 008 2zM8 5v3l2 1.5',
  send: 'M2 8h11M9 4l4 4-4 4',
  ring: 'M14 8a6 6 0 11-3-5.2',
  stop: 'M4 4h8v8H4z',
  skip: 'M3 4l5 4-5 4zM12 4v8',
  alert: 'M8 2l6.5 11.5h-13zM8 6.5v3M8 11.6v.01',
  question: 'M5.5 6a2.5 2.5 0 115 0c0 1.8-2.5 1.8-2.5 3.6M8 12.4v.01',
  plus: 'M8 3v10M3 8h10',
  play: 'M5 3.5l7 4.5-7 4.5z',
  pause: 'M5.5 3.5v9M10.5 3.5v9',
  pencil: 'M3 13l.7-3L11 2.7l2.3 2.3L6 12.3z',
  copy: 'M6 6h7v7H6zM3 10V3h7',
  trash: 'M3 4.5h10M6 4.5V3h4v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5',
  power: 'M8 2v6M4.5 4.5a5 5 0 107 0',
  download: 'M8 2v8M4.5 7L8 10.5 11.5 7M3 13.5h10',
  down: 'M4 6l4 4 4-4',
};

/** An icon that says nothing to a screen reader: words stand beside it. */
export function Icon({ name, className = '' }) {
  return html`<svg class=${className} viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.6"
    stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false"><path d=${PATHS[name]} /></svg>`;
}
