// What most views look like: a heading, an error in place of what could not be asked for, cards.
import { html, useEffect } from '../lib.js';

/** The view's title, for the tab and for the page. */
export function Heading({ title, crumbs, children, aside }) {
  useEffect(() => {
    document.title = `${title} · dkronpy`;
  }, [title]);
  return html`<div class="heading">
    <div>${crumbs && html`<nav class="crumbs" aria-label="Path">${crumbs}</nav>`}<h1>${title}</h1>${aside}</div>
    <div class="row">${children}</div>
  </div>`;
}

export function Card({ title, aside, flush, children, className = '' }) {
  return html`<section class="card ${flush ? 'flush' : ''} ${className}" aria-label=${title}>
    ${title && html`<header><h2>${title}</h2>${aside && html`<div class="aside">${aside}</div>`}</header>`}
    ${children}
  </section>`;
}

export function Failure({ error }) {
  return html`<div class="error-box" role="alert">${error.message}</div>`;
}

export function Empty({ children }) {
  return html`<p class="empty">${children}</p>`;
}

/** Facts as a list of names and values; those without a value are left out. */
export function Facts({ facts }) {
  const told = facts.filter(([, value]) => value !== null && value !== undefined && value !== '' && value !== false);
  return html`<dl class="facts">${told.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}
