// What every component is made of, under one name.
import htm from './vendor/htm.js';
import { h } from './vendor/preact.js';

export { Fragment, render } from './vendor/preact.js';
export { useEffect, useLayoutEffect, useMemo, useRef, useState } from './vendor/preact-hooks.js';
export { batch, computed, effect, signal } from './vendor/signals.js';

/** Elements from a template; what is put into it is always text or a component, never HTML. */
export const html = htm.bind(h);
