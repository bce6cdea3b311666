// A job as the API knows it.
import { html } from '../lib.js';
import { Card } from '../parts/page.js';

export function JobDefinition({ job }) {
  return html`<${Card} title="Definition and state as JSON"><pre tabindex="0">${JSON.stringify(job, null, 2)}</pre><//>`;
}
