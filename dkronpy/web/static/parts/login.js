// Asks for the token, which goes into a header of each request and never into an address.
import { html, useState } from '../lib.js';
import { signIn, token } from '../core/session.js';
import { Icon } from './icons.js';

export function Login() {
  const [text, setText] = useState('');
  const [stay, setStay] = useState(false);
  const submit = (event) => {
    event.preventDefault();
    if (text.trim()) signIn(text.trim(), stay);
  };
  return html`<main class="login card">
    <div class="row"><${Icon} name="clock" /><h1>dkronpy</h1></div>
    <form class="stack" onSubmit=${submit}>
      <div>
        <label for="token">Token</label>
        <input id="token" class="input" type="password" autocomplete="current-password" autofocus value=${text}
          aria-describedby="token-help" onInput=${(event) => setText(event.target.value)} />
        <p id="token-help" class="small ${token.value ? 'error' : 'muted'}" role=${token.value ? 'alert' : undefined}>
          ${token.value ? 'The server did not take this token.' : 'This cluster is used with tokens; its operators give them out.'}</p>
      </div>
      <label class="check"><input type="checkbox" checked=${stay} onChange=${(event) => setStay(event.target.checked)} />
        Stay signed in on this device</label>
      <button type="submit" class="button primary">Sign in</button>
    </form>
  </main>`;
}
