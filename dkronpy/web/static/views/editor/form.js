// The state of the form: the draft, what is wrong with it and where, what its inputs can be completed with.
import { useEffect, useState } from '../../lib.js';
import { get } from '../../core/api.js';
import { useLoad } from '../../core/load.js';
import { differences } from '../../parts/difference.js';
import { withValue } from './fields.js';
import { usePreview } from './preview.js';

/**
 * `change(path, value)` and `changeAll(draft)` change the draft; `faults(path, deep)` are messages about the value there
 * (`deep`: about parts of it too), as the last attempt to save was told and as the preview tells; `seek(text)` looks for
 * jobs; `names` are what is found. `refuse(errors)` tells why it was not saved; `attempt` counts that. `editing`: whether
 * the job is there already.
 */
export function useForm(start, editing) {
  const [draft, setDraft] = useState(start);
  const [{ errors, attempt }, setRefused] = useState({ errors: [], attempt: 0 });
  const [sought, seek] = useState(start.parent_job ?? '');
  const preview = usePreview(draft);
  const names = useNames(sought);
  useUnsaved(JSON.stringify(draft) !== JSON.stringify(start));
  const told = [...errors, ...(preview.error?.errors ?? []).filter((fault) => !errors.some((one) => one.field === fault.field))];
  const keep = (others) => others.length < errors.length && setRefused({ errors: others, attempt });
  return {
    draft, editing, errors, attempt, preview, names, seek,
    change(path, value) {
      setDraft((old) => withValue(old, path, value));
      keep(errors.filter(({ field }) => !within(field, path) && !(field && within(path, field))));
    },
    changeAll(changed) {
      setDraft(changed);
      keep(errors.filter(({ field }) => !(field.split('.')[0] in differences(draft, changed))));
    },
    refuse: (found) => setRefused({ errors: found, attempt: attempt + 1 }),
    faults: (path, deep = false) => told.filter(({ field }) => field === path || (deep && within(field, path))).map((fault) => fault.message),
  };
}

const within = (path, outer) => path === outer || path.startsWith(`${outer}.`);

function useNames(sought) {
  const jobs = useLoad((signal) => get('jobs', { q: sought, _end: 20 }, { signal }), [sought]);
  const groups = useLoad((signal) => get('groups', {}, { signal }), []);
  const calendars = useLoad((signal) => get('calendars', {}, { signal }), []);
  const named = ({ data }) => (data ?? []).map((one) => one.name);
  return { jobs: named(jobs), groups: named(groups), calendars: named(calendars) };
}

/** Ask before an unsaved draft is left by closing the page. */
function useUnsaved(unsaved) {
  useEffect(() => {
    if (!unsaved) return undefined;
    const warn = (event) => event.preventDefault();
    addEventListener('beforeunload', warn);
    return () => removeEventListener('beforeunload', warn);
  }, [unsaved]);
}
