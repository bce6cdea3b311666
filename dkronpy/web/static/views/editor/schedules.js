// A job's schedules: the first, and more that have each a zone and an environment of their own.
import { html } from '../../lib.js';
import { show } from '../../core/time.js';
import { Field } from './field.js';
import { listAt } from './fields.js';
import { useWords } from './preview.js';
import { Rows } from './rows.js';

const HELP = 'A crontab line (0 30 2 * * *), @every 10m, @daily, H H * * *, @at a time, or an iCalendar rule.';
const BLANK = { schedule: '', timezone: '', env: {} };

export function Schedules({ form }) {
  return html`<${First} form=${form} several=${listAt(form.draft, 'schedules').length > 0} />
    <${Rows} form=${form} path="schedules" one="Schedule" first=${2} blank=${BLANK}
      row=${(path, entry) => html`<${Further} form=${form} path=${path} entry=${entry} />`} />`;
}

function First({ form, several }) {
  const { schedule, timezone } = form.draft;
  const words = useWords(form.draft, several ? schedule : '', timezone);
  return html`<div class="fields">
    <${Field} form=${form} field=${{
      path: 'schedule', label: several ? 'Schedule 1' : 'Schedule', kind: 'text', mono: true, wide: true, empty: '', also: words.wrong('schedule'),
      help: several ? `${HELP} Leave it empty where each has an environment of its own.` : HELP,
    }} />
    <${Words} words=${words} zone=${timezone} />
    <${Field} form=${form} field=${{
      path: 'timezone', label: several ? 'Zone of schedule 1' : 'Zone', kind: 'zone', empty: '', placeholder: 'the servers’', also: words.wrong('timezone'),
      help: several ? 'On whose clock it is read, and those without a zone of their own.' : 'On whose clock it is read; the servers’ without one.',
    }} />
    <${Field} form=${form} field=${{ path: 'spread', label: 'Spread', kind: 'text', help: 'Starts later by a part of this that is drawn from the name, such as 30m.' }} />
  </div>`;
}

function Further({ form, path, entry }) {
  const zone = entry.timezone || form.draft.timezone;
  const words = useWords(form.draft, entry.schedule, zone);
  return html`
    <${Field} form=${form} field=${{ path: `${path}.schedule`, label: 'Schedule', kind: 'text', mono: true, empty: '', required: true, also: words.wrong('schedule') }} />
    <${Field} form=${form} field=${{ path: `${path}.timezone`, label: 'Zone', kind: 'zone', empty: '', placeholder: form.draft.timezone || 'the servers’', also: words.wrong('timezone') }} />
    <${Words} words=${words} zone=${zone} />
    <${Field} form=${form} field=${{ path: `${path}.env`, label: 'Environment of its runs', kind: 'pairs', rows: 2, help: 'NAME=value, one a line.' }} />`;
}

/** One schedule in words, and its next fires, as it is typed. */
function Words({ words, zone }) {
  if (!words.data) return null;
  const { description, fires } = words.data;
  return html`<p class="small field wide words" role="status"><span>${description}</span>
    <span class="muted">${fires.length ? `Next: ${fires.map((fire) => show(fire.time, 'short', zone)).join(' · ')}` : 'No fire is to come.'}</span></p>`;
}
