// For addresses that lead nowhere.
import { html } from '../lib.js';
import { href } from '../core/router.js';
import { Heading } from '../parts/page.js';

export function NotFound() {
  return html`<${Heading} title="There is no such view" /><p>The <a href=${href([])}>overview</a> leads to all there are.</p>`;
}
