// Times and spans in words. Times come as RFC 3339 text or ms.
import { effect, signal } from '../lib.js';
import { visible } from './live.js';
import { clock } from './prefs.js';

/** Now in ms, each second; it stands still while nobody looks. */
export const now = signal(Date.now());

let ticking;
effect(() => {
  clearInterval(ticking);
  if (!visible.value) return;
  now.value = Date.now();
  ticking = setInterval(() => (now.value = Date.now()), 1000);
});

const VIEWER = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
const formats = new Map();

function format(zone, style) {
  const key = `${zone} ${style}`;
  if (!formats.has(key)) formats.set(key, make(zone, style));
  return formats.get(key);
}

const STYLES = {
  full: { dateStyle: 'medium', timeStyle: 'medium' },
  time: { hour: '2-digit', minute: '2-digit', second: '2-digit' },
  minute: { hour: '2-digit', minute: '2-digit' },
  short: { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' },
  day: { weekday: 'short', day: 'numeric', month: 'short' },
  month: { month: 'short' },
  key: { year: 'numeric', month: '2-digit', day: '2-digit' },
};

function make(zone, style) {
  const options = { ...STYLES[style], hourCycle: 'h23' };
  const language = style === 'key' ? 'en-CA' : 'en-GB';
  try {
    return new Intl.DateTimeFormat(language, { ...options, timeZone: zone });
  } catch {
    return new Intl.DateTimeFormat(language, { ...options, timeZone: 'UTC' }); // a zone this browser does not know
  }
}

export const ms = (time) => (typeof time === 'number' ? time : Date.parse(time));

/** The zone in which a job's times are shown. */
function zoneOf(jobZone = '') {
  return clock.value === 'job' ? jobZone || 'UTC' : VIEWER;
}

/** `style`: full, short, time, minute, day or month. */
export function show(time, style = 'full', jobZone = '') {
  return time === null || time === undefined ? '–' : format(zoneOf(jobZone), style).format(ms(time));
}

/** YYYY-MM-DD on the zone's clock. */
export function dayKey(time, jobZone = '') {
  return format(zoneOf(jobZone), 'key').format(ms(time));
}

/** A span of ms in at most two units: 1 h 5 min. */
export function span(length) {
  if (length === null || length === undefined || Number.isNaN(length)) return '–';
  const sign = length < 0 ? '−' : '';
  const t = Math.abs(length);
  if (t < 1) return `${sign}${t === 0 ? 0 : '<1'} ms`;
  if (t < 1000) return `${sign}${Math.round(t)} ms`;
  if (t < 10_000) return `${sign}${(t / 1000).toFixed(1)} s`;
  const seconds = Math.round(t / 1000);
  if (seconds < 60) return `${sign}${seconds} s`;
  const two = (a, unit, b, small) => `${sign}${a} ${unit}${b ? ` ${b} ${small}` : ''}`;
  if (seconds < 3600) return two(Math.floor(seconds / 60), 'min', seconds % 60, 's');
  if (seconds < 86_400) return two(Math.floor(seconds / 3600), 'h', Math.floor((seconds % 3600) / 60), 'min');
  return two(Math.floor(seconds / 86_400), 'd', Math.floor((seconds % 86_400) / 3600), 'h');
}

/** How far a time is from now: in 5 s, 3 min ago. Follows `now`. */
export function relative(time) {
  if (time === null || time === undefined) return '–';
  const away = ms(time) - now.value;
  const coarse = Math.abs(away) < 60_000 ? Math.round(away / 1000) * 1000 : Math.round(away / 60_000) * 60_000;
  if (Math.abs(coarse) < 1000) return 'now';
  const text = Math.abs(coarse) >= 3_600_000 ? span(Math.abs(coarse)) : span(Math.abs(coarse)).replace(/\.0 s/, ' s');
  return away > 0 ? `in ${text}` : `${text} ago`;
}
