/** PURE. Formats numbers as Grafana does, in the units of the dashboard. */
export const UNITS = ['none', 'short', 's', 'dthms', 'percentunit'] as const;
export type Unit = (typeof UNITS)[number];

const SHORT = ['', ' K', ' Mil', ' Bil', ' Tri'] as const;
/** Durations below the limit use this unit, which has this many seconds. */
const TIMES: readonly (readonly [limit: number, seconds: number, name: string])[] = [
  [1e-6, 1e-9, ' ns'],
  [1e-3, 1e-6, ' µs'],
  [1, 1e-3, ' ms'],
  [60, 1, ' s'],
  [3_600, 60, ' min'],
  [86_400, 3_600, ' hour'],
  [604_800, 86_400, ' day'],
  [Number.POSITIVE_INFINITY, 604_800, ' week'],
];

export function formatValue(value: number, unit: Unit, decimals?: number): string {
  switch (unit) {
    case 'none':
      return fixed(value, decimals);
    case 'short':
      return short(value, decimals);
    case 's':
      return durationText(value, decimals);
    case 'dthms':
      return clockText(value);
    case 'percentunit':
      return `${fixed(value * 100, decimals)}%`;
  }
}

/** For axis labels: without trailing zeros. */
export function formatAxisValue(value: number, unit: Unit, decimals?: number): string {
  const padded = formatValue(Number(value.toPrecision(12)), unit, decimals);
  return padded.replace(/\.(\d*?)0+(?!\d)/, (_, kept: string) => (kept === '' ? '' : `.${kept}`));
}

/** Three significant digits, unless `decimals` is given. */
function fixed(value: number, decimals?: number): string {
  if (decimals !== undefined) return value.toFixed(decimals);
  if (Number.isInteger(value)) return String(value);
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  return value.toFixed(Math.min(20, Math.max(0, 2 - magnitude)));
}

function short(value: number, decimals?: number): string {
  let [size, step] = [value, 0];
  while (Math.abs(size) >= 1_000 && step < SHORT.length - 1) [size, step] = [size / 1_000, step + 1];
  return `${fixed(size, decimals)}${SHORT[step]}`;
}

function durationText(value: number, decimals?: number): string {
  if (value === 0) return '0 s';
  const [, seconds, name] = TIMES.find(([limit]) => Math.abs(value) < limit) ?? [0, 1, ' s'];
  const isPlural = seconds >= 60 && value !== seconds;
  return `${fixed(value / seconds, decimals)}${name}${isPlural ? 's' : ''}`;
}

function clockText(value: number): string {
  const whole = Math.floor(value);
  return [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60, whole % 60]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
}
