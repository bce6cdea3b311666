// A job's schedules: the first, and more that have each a zone and an environment of their own.
import { html } from '../../lib.js';
import { show } from '../../core/time.js';
import { Field } from './field.js';
import { useWords } from './preview.js';
import { Rows } from './rows.js';

const HELP = 'A crontab line (0 30 2 * * *), @every 10m, @daily, H H * * *, @at a time, or an iCalendar rule.';
const BLANK = { schedule: '', timezone: '', env: {} };

export function Schedules({ form }) {
  const { draft } = form;
  const several = draft.schedules?.length > 0;
  return html`<div class="fields"><${Field} form=${form} field=${{
      path: 'schedule', label: several ? 'Schedule 1' : 'Schedule', kind: 'text', mono: true, wide: true, empty: '',
      help: several ? `${HELP} Leave it empty where each has an environment of its own.` : HELP,
    }} />
    ${several && html`<${Words} form=${form} path="schedule" schedule=${draft.schedule} zone=${draft.timezone} />`}
    <${Field} form=${form} field=${{ path: 'timezone', label: several ? 'Zone of schedule 1' : 'Zone', kind: 'zone', empty: '', placeholder: 'UTC', help: `On whose clock it is read${several ? ', and of those without a zone of their own' : ''}.` }} />
    <${Field} form=${form} field=${{ path: 'spread', label: 'Spread', kind: 'text', help: 'Starts later by a part of this that is drawn from the name, such as 30m.' }} /></div>
    <${Rows} form=${form} path="schedules" one="Schedule" first=${2} blank=${BLANK} row=${(path, entry) => html`
      <${Field} form=${form} field=${{ path: `${path}.schedule`, label: 'Schedule', kind: 'text', mono: true, empty: '', required: true }} />
      <${Field} form=${form} field=${{ path: `${path}.timezone`, label: 'Zone', kind: 'zone', empty: '', placeholder: draft.timezone || 'UTC' }} />
      <${Words} form=${form} path="${path}.schedule" schedule=${entry.schedule} zone=${entry.timezone || draft.timezone} />
      <${Field} form=${form} field=${{ path: `${path}.env`, label: 'Environment of its runs', kind: 'pairs', rows: 2, help: 'NAME=value, one a line.' }} />`} />`;
}

/** One schedule in words, and its next fires, as it is typed; what is wrong with it where the form does not say so yet. */
function Words({ form, path, schedule, zone }) {
  const { data, error } = useWords(form.draft, schedule, zone);
  if (error && form.faults(path).length) return null;
  if (error) return html`<p class="small error field wide" role="status">${error.message}</p>`;
  if (!data) return null;
  return html`<p class="small field wide words" role="status"><span>${data.description}</span>
    <span class="muted">${data.fires.length ? `Next: ${data.fires.map((fire) => show(fire.time, 'short', zone)).join(' · ')}` : 'No fire is to come.'}</span></p>`;
}
