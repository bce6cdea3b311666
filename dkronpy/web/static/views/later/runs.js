// Executions of all jobs, filtered.
import { html, useState } from '../../lib.js';
import { useEvents } from '../../core/live.js';
import { useThrottled } from '../../core/load.js';
import { route, setQuery } from '../../core/router.js';
import { StateFilter, TriggerFilter } from '../../parts/run-filters.js';
import { Heading } from '../../parts/page.js';
import { RunPages } from '../../parts/run-pages.js';

const PAUSE = 300;
const SPANS = { '': 'Any time', 1: 'Last hour', 24: 'Last day', 168: 'Last week' };

export function Runs() {
  const { status = '', job = '', node = '', hours = '', trigger = '', output = '', exit_code: code = '' } = route.value.query;
  const [beat, setBeat] = useState(0);
  const soon = useThrottled(() => setBeat((old) => old + 1), 1000);
  useEvents(['execution'], job ? [job] : [], (name) => (name === 'ready' || name === 'execution') && soon());
  const [since, setSince] = useState(() => sinceOf(hours));
  const choose = (event) => {
    setSince(sinceOf(event.target.value));
    setQuery({ hours: event.target.value });
  };
  return html`<${Heading} title="Runs" />
    <div class="filters" role="search">
      <${StateFilter} />
      <select class="input" aria-label="Since when" value=${hours} onChange=${choose}>
        ${Object.entries(SPANS).map(([value, word]) => html`<option key=${value} value=${value}>${word}</option>`)}
      </select>
      <${TriggerFilter} />
      <${Text} name="job" label="Job" hint="its whole name" value=${job} /><${Text} name="node" label="Node" hint="its whole name" value=${node} />
      <${Text} name="exit_code" label="Exit code" hint="several with commas" value=${code} /><${Text} name="output" label="In the output" hint="as it is written" value=${output} />
    </div>
    <${RunPages} path="executions" query=${{ status, job, node, since, trigger, output, exit_code: code }} beat=${beat} withJob />`;
}

function sinceOf(hours) {
  return Number(hours) > 0 ? new Date(Date.now() - Number(hours) * 3_600_000).toISOString() : '';
}

function Text({ name, label, hint, value }) {
  const [timer, setTimer] = useState(0);
  const type = (event) => {
    clearTimeout(timer);
    setTimer(setTimeout(() => setQuery({ [name]: event.target.value.trim() }), PAUSE));
  };
  return html`<input class="input when" type="search" placeholder=${label} aria-label="${label}, ${hint}" defaultValue=${value} onInput=${type} />`;
}
