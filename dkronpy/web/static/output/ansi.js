// Terminal output as pieces of text with a look. Colours and weights are understood; every other escape is shown as text.

const SEQUENCE = /\x1b\[([0-9;]*)m|([\x00-\x08\x0b\x0c\x0e-\x1f\x7f])/g;

export const PLAIN = Object.freeze({ fg: null, bg: null, flags: Object.freeze([]) });

/**
 * The pieces [{text, look}] of one line and the look at its end. `look`: {fg, bg, flags}; colours are 0–15 or '#rrggbb'.
 * What is before the last carriage return was overwritten, as in a terminal.
 */
export function pieces(line, look) {
  const found = [];
  const from = line.lastIndexOf('\r', line.length - 2) + 1;
  let at = 0;
  let current = look;
  const add = (text, escape) => {
    if (text) found.push({ text, look: escape ? { ...current, flags: [...current.flags, 'escape'] } : current });
  };
  for (const match of line.matchAll(SEQUENCE)) {
    if (match.index >= from) add(line.slice(Math.max(at, from), match.index).replaceAll('\r', ''));
    at = match.index + match[0].length;
    if (match[1] !== undefined) current = changed(current, match[1]);
    else if (match.index >= from) add(String.fromCharCode(match[0] === '\x7f' ? 0x2421 : 0x2400 + match[0].charCodeAt(0)), true);
  }
  add(line.slice(Math.max(at, from)).replaceAll('\r', ''));
  return { pieces: found, look: current };
}

const FLAGS = { 1: 'bold', 2: 'dim', 3: 'italic', 4: 'underline', 7: 'reverse', 9: 'strike' };
const ENDS = { 22: ['bold', 'dim'], 23: ['italic'], 24: ['underline'], 27: ['reverse'], 29: ['strike'] };

function changed(look, parameters) {
  const codes = parameters.split(';').map((text) => Number(text) || 0);
  let next = look;
  for (let i = 0; i < codes.length; i += 1) {
    const code = codes[i];
    if (code === 0) next = PLAIN;
    else if (FLAGS[code]) next = { ...next, flags: [...new Set([...next.flags, FLAGS[code]])] };
    else if (ENDS[code]) next = { ...next, flags: next.flags.filter((flag) => !ENDS[code].includes(flag)) };
    else if (code >= 30 && code <= 37) next = { ...next, fg: code - 30 };
    else if (code >= 90 && code <= 97) next = { ...next, fg: code - 82 };
    else if (code >= 40 && code <= 47) next = { ...next, bg: code - 40 };
    else if (code >= 100 && code <= 107) next = { ...next, bg: code - 92 };
    else if (code === 39) next = { ...next, fg: null };
    else if (code === 49) next = { ...next, bg: null };
    else if (code === 38 || code === 48) {
      const [color, used] = extended(codes, i + 1);
      next = { ...next, [code === 38 ? 'fg' : 'bg']: color };
      i += used;
    }
  }
  return next;
}

/** A colour of 256 (5;n) or of all (2;r;g;b), and how many codes it took. */
function extended(codes, at) {
  const hex = (...rgb) => `#${rgb.map((part) => Math.min(part, 255).toString(16).padStart(2, '0')).join('')}`;
  if (codes[at] === 2) return [hex(codes[at + 1] ?? 0, codes[at + 2] ?? 0, codes[at + 3] ?? 0), 4];
  if (codes[at] !== 5) return [null, 0];
  const n = codes[at + 1] ?? 0;
  if (n < 16) return [n, 2];
  if (n > 231) return [hex(...Array(3).fill(8 + (Math.min(n, 255) - 232) * 10)), 2];
  const level = (part) => (part ? 55 + part * 40 : 0);
  return [hex(level(Math.floor((n - 16) / 36)), level(Math.floor((n - 16) / 6) % 6), level((n - 16) % 6)), 2];
}
