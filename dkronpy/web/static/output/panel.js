// An execution's output: as it is written, searched, followed, downloaded.
import { html, useEffect, useRef, useState } from '../lib.js';
import { ask } from '../core/api.js';
import { stream } from '../core/stream.js';
import { attempt } from '../parts/dialog.js';
import { Icon } from '../parts/icons.js';
import { isOpen } from '../parts/state.js';
import { Terminal } from './terminal.js';

const SHOWN = 512 * 1024; // bytes of the end that are shown; the rest can be downloaded

export function OutputPanel({ path, run, onEnd }) {
  const element = useRef(null);
  const terminal = useRef(null);
  const [state, setState] = useState({ word: 'connecting', from: null, empty: true });
  const [found, setFound] = useState(null);
  useEffect(() => {
    terminal.current = new Terminal(element.current);
    const note = (change) => setState((old) => ({ ...old, ...change }));
    const stop = stream(`${path}/output`, { follow: 'true', offset: -SHOWN }, {
      open: () => note({ word: 'following' }),
      lost: () => note({ word: 'lost' }),
      refused: (error) => note({ word: 'refused', error: error.message }),
      event: (name, data) => {
        if (name === 'output') {
          terminal.current.append(data.data);
          setState((old) => ({ ...old, empty: false, from: old.from ?? data.offset, word: 'following' }));
        } else if (name === 'end') {
          stop();
          note({ word: 'ended' });
          onEnd(data);
        }
      },
    }, { resume: true });
    return stop;
  }, [path]);
  const search = (event) => setFound(event.target.value ? terminal.current.search(event.target.value) : (terminal.current.search(''), null));
  const keys = (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    terminal.current.step(event.shiftKey ? -1 : 1);
  };
  return html`<section class="card flush output" aria-label="Output">
    <div class="output-bar">
      <h2>Output</h2><span class="muted small" role="status">${told(state, run)}</span><span class="grow"></span>
      <input class="input search" type="search" placeholder="Search" aria-label="Search the output" onInput=${search} onKeyDown=${keys} />
      ${found !== null && html`<span class="muted small" role="status">${found} ${found === 1 ? 'line' : 'lines'}</span>`}
      <button type="button" class="button plain" onClick=${() => terminal.current.follow()}><${Icon} name="down" />To the end</button>
      <button type="button" class="button plain" onClick=${() => attempt(() => download(path, run))}><${Icon} name="download" />Download</button>
    </div>
    <div class="terminal" ref=${element} tabindex="0" role="log" aria-label="Output of the run" aria-live="off"></div>
  </section>`;
}

function told({ word, from, empty, error }, run) {
  const cut = from > 0 ? `; the first ${from.toLocaleString('en')} bytes are in the download` : '';
  if (word === 'refused') return error;
  if (word === 'lost') return 'the connection broke; trying again …';
  if (word === 'ended') return (empty ? 'it wrote nothing' : 'complete') + cut;
  if (isOpen(run.state)) return (empty ? 'nothing written yet' : 'live') + cut;
  return word === 'connecting' ? 'fetching …' : `fetching the rest …${cut}`;
}

/** Fetched with the token and handed to the browser, for a link could not send it. */
async function download(path, run) {
  const response = await ask('GET', `${path}/output`);
  const url = URL.createObjectURL(await response.blob());
  const link = document.createElement('a');
  link.href = url;
  link.download = `${run.job_name}-${run.id}.txt`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
