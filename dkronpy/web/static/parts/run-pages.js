// Pages of executions, which the server gives by cursors: newest first, as far back as they are kept.
import { html, useEffect, useState } from '../lib.js';
import { ask } from '../core/api.js';
import { useLoad } from '../core/load.js';
import { Card, Empty, Failure } from './page.js';
import { RunsTable } from './runs-table.js';

const LIMIT = 100;

/** `path` and `query` say which; the first page is asked for again when `beat` changes. */
export function RunPages({ path, query, beat, withJob = false, zone = '' }) {
  const [cursors, setCursors] = useState([]);
  const key = JSON.stringify([path, query]);
  useEffect(() => setCursors([]), [key]);
  const cursor = cursors.at(-1) ?? '';
  const page = useLoad((signal) => fetchPage(path, { ...query, cursor }, signal), [key, cursor, cursor ? 0 : beat]);
  return html`${page.error && html`<${Failure} error=${page.error} />`}
    ${page.data && html`<${Card} flush title="">
      ${page.data.runs.length ? html`<${RunsTable} runs=${page.data.runs} withJob=${withJob} zone=${zone} />` : html`<${Empty}>${page.data.next ? 'None of these is like that; older ones may be.' : 'No run is like that.'}<//>`}
      ${(cursors.length > 0 || page.data.next) && html`<nav class="pager" aria-label="Pages"><span class="grow"></span>
        <button type="button" class="button" disabled=${!cursors.length} onClick=${() => setCursors(cursors.slice(0, -1))}>Newer</button>
        <button type="button" class="button" disabled=${!page.data.next} onClick=${() => setCursors([...cursors, page.data.next])}>Older</button>
      </nav>`}
    <//>`}`;
}

async function fetchPage(path, query, signal) {
  const response = await ask('GET', path, { query: { ...query, limit: LIMIT, output_size_limit: 0 }, signal });
  return { runs: await response.json(), next: response.headers.get('X-Next-Cursor') };
}
