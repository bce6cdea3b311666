// Starts the dashboard.
import { html, render } from './lib.js';
import { start } from './core/live.js';
import { Shell } from './parts/shell.js';

start();
render(html`<${Shell} />`, document.getElementById('app'));
