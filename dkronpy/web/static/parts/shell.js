// The frame around every view: navigation, what holds everywhere, and which view is shown.
import { html, useEffect, useRef } from '../lib.js';
import { get, post } from '../core/api.js';
import { connection, overview } from '../core/live.js';
import { clock, theme } from '../core/prefs.js';
import { href, route } from '../core/router.js';
import { locked, mayWrite, signOut, token, who } from '../core/session.js';
import { show } from '../core/time.js';
import { attempt, Question, Toasts } from './dialog.js';
import { Icon } from './icons.js';
import { Login } from './login.js';
import { VIEWS, viewOf } from '../views/index.js';

export function Shell() {
  useEffect(() => {
    get('whoami').then((found) => (who.value = found), () => undefined); // where a token is missing, `locked` tells
  }, [token.value]);
  if (locked.value) return html`<${Login} />`;
  return html`<div class="shell">
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <${Side} />
    <main class="main" id="main" tabindex="-1">
      <${Notices} />
      <${View} />
    </main>
    <${Question} />
    <${Toasts} />
  </div>`;
}

function skip(event) {
  event.preventDefault(); // the address tells the view
  document.getElementById('main').focus();
}

function Side() {
  const state = overview.value;
  const current = route.value.path[0] ?? 'overview';
  const running = state?.in_flight.running;
  return html`<header class="side">
    <a class="brand" href=${href([])}><${Icon} name="clock" />dkronpy</a>
    <nav class="nav" aria-label="Views">
      ${VIEWS.map((view) => html`<a key=${view.name} href=${href(view.name === 'overview' ? [] : [view.name])}
          aria-current=${current === view.name ? 'page' : undefined}>
        <${Icon} name=${view.icon} />${view.title}
        ${view.name === 'runs' && running ? html`<span class="count" aria-label="${running} running">${running}</span>` : null}
      </a>`)}
    </nav>
    <div class="side-foot">
      <label class="field"><span class="unseen">Times on the clock of</span>
        <select class="input" value=${clock.value} onChange=${(event) => (clock.value = event.target.value)}>
          <option value="viewer">My time</option><option value="job">Job's time</option>
        </select></label>
      <label class="field"><span class="unseen">Colours</span>
        <select class="input" value=${theme.value} onChange=${(event) => (theme.value = event.target.value)}>
          <option value="auto">Auto</option><option value="light">Light</option><option value="dark">Dark</option>
        </select></label>
      ${who.value?.tokens && html`<button type="button" class="link" onClick=${signOut}>Sign out ${who.value.name}</button>`}
      ${state && html`<p class="node">${state.node}, ${state.version}</p>`}
    </div>
  </header>`;
}

function Notices() {
  const state = overview.value;
  const unpause = () => attempt(() => post('unpause'), 'Scheduling goes on.');
  return html`
    ${connection.value === 'lost' && html`<div class="notice bad" role="status"><${Icon} name="alert" />
      This server can't be reached; what is shown may be old. Trying again …</div>`}
    ${state?.pause.paused && html`<div class="notice" role="status"><${Icon} name="pause" />
      <span class="grow">All scheduling has been paused since ${show(state.pause.since)} by ${state.pause.by}${state.pause.reason ? `: ${state.pause.reason}` : ''}.</span>
      ${mayWrite.value && html`<button type="button" class="button" onClick=${unpause}>Go on</button>`}
    </div>`}
    ${who.value && !who.value.write && html`<div class="notice" role="status">
      The token ${who.value.name} may only read: nothing can be changed with it.</div>`}`;
}

function View() {
  const { component, props, key } = viewOf(route.value);
  const first = useRef(true);
  useEffect(() => {
    if (!first.current) document.getElementById('main').focus({ preventScroll: true }); // a screen reader goes on there
    first.current = false;
    scrollTo(0, 0);
  }, [key]);
  return html`<${component} key=${key} ...${props} />`;
}
