/** PURE. Numbers as Grafana writes them, in the units that the dashboard uses. */
export const UNITS = ['none', 'short', 's', 'dthms', 'percentunit'] as const;
export type Unit = (typeof UNITS)[number];

const SHORT = ['', ' K', ' Mil', ' Bil', ' Tri'] as const;
/** Below this much, in this unit, of so many seconds. */
const TIMES: readonly (readonly [below: number, seconds: number, name: string])[] = [
  [1e-6, 1e-9, ' ns'],
  [1e-3, 1e-6, ' µs'],
  [1, 1e-3, ' ms'],
  [60, 1, ' s'],
  [3_600, 60, ' min'],
  [86_400, 3_600, ' hour'],
  [604_800, 86_400, ' day'],
  [Number.POSITIVE_INFINITY, 604_800, ' week'],
];

export function written(value: number, unit: Unit, decimals?: number): string {
  switch (unit) {
    case 'none':
      return fixed(value, decimals);
    case 'short':
      return short(value, decimals);
    case 's':
      return time(value, decimals);
    case 'dthms':
      return clock(value);
    case 'percentunit':
      return `${fixed(value * 100, decimals)}%`;
  }
}

/** As at an axis, whose steps say how many decimals there are: none that is a closing zero. */
export function writtenAtAxis(value: number, unit: Unit, decimals?: number): string {
  const padded = written(Number(value.toPrecision(12)), unit, decimals);
  return padded.replace(/\.(\d*?)0+(?!\d)/, (_, kept: string) => (kept === '' ? '' : `.${kept}`));
}

/** Three digits that count, where nobody said how many. */
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

function time(value: number, decimals?: number): string {
  if (value === 0) return '0 s';
  const [, seconds, name] = TIMES.find(([below]) => Math.abs(value) < below) ?? [0, 1, ' s'];
  const isMany = seconds >= 60 && value !== seconds;
  return `${fixed(value / seconds, decimals)}${name}${isMany ? 's' : ''}`;
}

function clock(value: number): string {
  const whole = Math.floor(value);
  return [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60, whole % 60]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
}
