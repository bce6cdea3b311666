// Components whose code is fetched when they are first shown.
import { html, useEffect, useState } from '../lib.js';
import { Failure } from './page.js';

const failed = new Error('This part of the page could not be fetched: load the page again.');

/** `load` imports the module, whose export `name` is the component. */
export function lazy(load, name) {
  let found = null;
  return function Lazy(props) {
    const [component, setComponent] = useState(() => found);
    const [error, setError] = useState(null);
    useEffect(() => {
      if (found) return;
      load().then((module) => {
        found = module[name];
        setComponent(() => found);
      }, () => setError(failed));
    }, []);
    if (error) return html`<${Failure} error=${error} />`;
    return component ? html`<${component} ...${props} />` : null;
  };
}
