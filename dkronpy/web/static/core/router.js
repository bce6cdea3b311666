// Where in the dashboard we are, as told by the address after `#`: every view can be linked to.
import { signal } from '../lib.js';

/** {path: ['jobs', 'NAME'], query: {tab: 'runs'}} */
export const route = signal(read());

addEventListener('hashchange', () => {
  route.value = read();
});

function read() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  return {
    path: path.split('/').filter(Boolean).map(decode),
    query: Object.fromEntries(new URLSearchParams(query)),
  };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a % that somebody typed
  }
}

/** The address of a view: `href(['jobs', name], {tab: 'runs'})`. What is null or '' is left out of the query. */
export function href(path, query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const text = new URLSearchParams(kept).toString();
  return `#/${path.map(encodeURIComponent).join('/')}${text ? `?${text}` : ''}`;
}

export function go(path, query) {
  location.hash = href(path, query);
}

/** Change the query of this view in place: typing in a search box makes no history. */
export function setQuery(changes) {
  const { path, query } = route.value;
  history.replaceState(null, '', href(path, { ...query, ...changes }));
  route.value = read();
}
