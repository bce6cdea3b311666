// The draft as JSON, which can be changed there too.
import { html, useEffect, useRef, useState } from '../../lib.js';
import { Card } from '../../parts/page.js';

export function Json({ draft, onDraft }) {
  const [text, setText] = useState(JSON.stringify(draft, null, 2));
  const [fault, setFault] = useState('');
  const element = useRef(null);
  useEffect(() => {
    if (document.activeElement !== element.current) setText(JSON.stringify(draft, null, 2));
  }, [draft]);
  const type = (event) => {
    setText(event.target.value);
    try {
      const read = JSON.parse(event.target.value);
      if (read === null || typeof read !== 'object' || Array.isArray(read)) throw new Error('a job is an object: {…}');
      onDraft(read);
      setFault('');
    } catch (error) {
      setFault(error.message);
    }
  };
  return html`<${Card} title="The job as JSON">
    <textarea ref=${element} class="input" rows="28" spellcheck="false" aria-label="The job as JSON" aria-invalid=${fault ? 'true' : undefined}
      aria-describedby="json-fault" value=${text} onInput=${type}></textarea>
    <p id="json-fault" class="small error" role="status">${fault}</p>
  <//>`;
}
