// Points over time, drawn by uPlot in the colours of the page.
import uPlot from '../../vendor/uplot.js';
import { html, useEffect, useRef } from '../../lib.js';
import { theme } from '../../core/prefs.js';
import { show, span } from '../../core/time.js';

/** `series`: [{label, tone, points: [ms or null]}] at the `times` (ms, ascending). `told` says it in words. */
export function Chart({ times, series, height = 170, told, zone }) {
  const element = useRef(null);
  useEffect(() => {
    const place = element.current;
    const draw = () => new uPlot(options(place, series, height, zone), [times.map((time) => time / 1000), ...series.map((one) => one.points)], place);
    let chart = draw();
    const again = () => {
      chart.destroy();
      chart = draw();
    };
    const resized = new ResizeObserver(() => chart.setSize({ width: place.clientWidth, height }));
    resized.observe(place);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', again);
    return () => {
      scheme.removeEventListener('change', again);
      resized.disconnect();
      chart.destroy();
    };
  }, [times, series, theme.value, zone]);
  return html`<div class="chart" ref=${element} role="img" aria-label=${told}></div>`;
}

function options(place, series, height, zone) {
  const style = getComputedStyle(place);
  // canvases know no light-dark(): what the browser makes of the colour is asked of an element
  const colour = (name) => {
    place.style.color = `var(${name})`;
    const found = getComputedStyle(place).color;
    place.style.color = '';
    return found;
  };
  const axis = { stroke: colour('--muted'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false }, font: `12px ${style.fontFamily}` };
  return {
    width: place.clientWidth || 600, height, legend: { show: true, live: true }, cursor: { y: false },
    scales: { y: { range: (_, low, high) => [0, Math.max(high ?? 0, 1)] } },
    axes: [
      { ...axis, values: (_, ticks, __, ___, step) => ticks.map((tick) => show(tick * 1000, step >= 86_400 ? 'day' : 'minute', zone)) },
      { ...axis, size: 70, values: (_, ticks) => ticks.map((tick) => span(tick)) },
    ],
    series: [
      { label: 'Fire', value: (_, value) => (value === null ? '–' : show(value * 1000, 'full', zone)) },
      ...series.map((one) => ({
        label: one.label, stroke: colour(one.tone), width: one.line ? 1.5 : 0, paths: one.line ? undefined : () => null,
        points: { show: true, size: 5, fill: colour(one.tone), stroke: colour(one.tone) }, value: (_, value) => (value === null ? '–' : span(value)),
      })),
    ],
  };
}
