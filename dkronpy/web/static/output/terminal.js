// The lines of an output in the page. It is changed in place, for output may be long and quick, and only by text nodes:
// nothing that a job writes can become an element of its own.
import { pieces, PLAIN } from './ansi.js';

const MAX_LINES = 5000;

export class Terminal {
  constructor(element) {
    this.element = element;
    this.following = true;
    this.dropped = 0; // lines that are no longer shown
    this.open = ''; // the last line's text, not ended yet
    this.openElement = null;
    this.before = PLAIN; // the look at the beginning of the open line
    this.matches = [];
    this.at = -1;
    element.addEventListener('scroll', () => {
      this.following = element.scrollHeight - element.scrollTop - element.clientHeight < 24;
    });
  }

  append(text) {
    const lines = (this.open + text).split('\n');
    const added = document.createDocumentFragment();
    lines.forEach((line, index) => {
      const element = index === 0 && this.openElement ? this.openElement : document.createElement('div');
      const { pieces: found, look } = pieces(line, this.before);
      element.className = 'line';
      element.replaceChildren(...found.map(span));
      if (index > 0 || !this.openElement) added.append(element);
      if (index < lines.length - 1) this.before = look;
      else this.openElement = element;
    });
    this.open = lines.at(-1);
    this.element.append(added);
    while (this.element.childElementCount > MAX_LINES) {
      this.element.firstElementChild.remove();
      this.dropped += 1;
    }
    if (this.following) this.element.scrollTop = this.element.scrollHeight;
  }

  follow() {
    this.following = true;
    this.element.scrollTop = this.element.scrollHeight;
  }

  /** Mark the lines with this text; how many there are. */
  search(text) {
    for (const line of this.matches) line.classList.remove('hit', 'current');
    const wanted = text.toLowerCase();
    this.matches = wanted ? [...this.element.children].filter((line) => line.textContent.toLowerCase().includes(wanted)) : [];
    for (const line of this.matches) line.classList.add('hit');
    this.at = -1;
    return this.matches.length;
  }

  /** Show the next match, or the one before. */
  step(by) {
    if (!this.matches.length) return;
    this.matches[this.at]?.classList.remove('current');
    this.at = (this.at + by + this.matches.length) % this.matches.length;
    this.following = false;
    this.matches[this.at].classList.add('current');
    this.matches[this.at].scrollIntoView({ block: 'center' });
  }
}

function span({ text, look }) {
  if (look === PLAIN) return document.createTextNode(text);
  const element = document.createElement('span');
  element.textContent = text;
  const reverse = look.flags.includes('reverse');
  const [fg, bg] = reverse ? [look.bg ?? 7, look.fg ?? 0] : [look.fg, look.bg];
  element.className = look.flags.filter((flag) => flag !== 'reverse').join(' ');
  paint(element, 'fg', 'color', fg);
  paint(element, 'bg', 'backgroundColor', bg);
  return element;
}

function paint(element, prefix, property, color) {
  if (typeof color === 'number') element.classList.add(`${prefix}${color % 8}`);
  else if (color) element.style[property] = color;
}
