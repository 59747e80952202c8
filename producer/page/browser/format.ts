/** Numbers, durations, money and times as people read them, in the language and the time zone of the browser. PURE. */
import type { JobSummary } from '../contract.ts';

const COUNT = new Intl.NumberFormat();
const PERCENT = new Intl.NumberFormat(undefined, { style: 'percent' });
const RATE = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });
const SIZE = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });
const MONEY = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const SMALL_MONEY = new Intl.NumberFormat(undefined, { minimumFractionDigits: 4, maximumFractionDigits: 4 });
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const DATE_AND_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const SIZE_UNITS = ['bytes', 'KB', 'MB', 'GB', 'TB'];
/** As the commands print them. */
const INSTANT = /(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z)/g;
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Below this amount, four decimals are shown: a job may cost less than a hundredth. */
const SMALL_AMOUNT = 1;

export function countText(count: number): string {
  return COUNT.format(count);
}

/** `1 frame`, `2,700 frames`. */
export function countWithNoun(count: number, noun: string): string {
  return `${COUNT.format(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** What a job consists of, in the singular. */
export function unitOf({ kind }: Pick<JobSummary, 'kind'>): string {
  return kind === 'images' ? 'image' : 'frame';
}

/** Frames that need no more work: also those that are scored and not stored yet, as the commands count them. */
export function doneFrames({ frames }: Pick<JobSummary, 'frames'>): number {
  return Math.min(frames.expected, frames.scored + frames.failed + frames.underway);
}

/** `–` before the split is known. */
export function doneText(job: Pick<JobSummary, 'frames'>): string {
  const { expected } = job.frames;
  return expected === 0 ? '–' : `${countText(doneFrames(job))} of ${countText(expected)}`;
}

/** Rounded down, so that 100 % means all. */
export function percentText(part: number, whole: number): string {
  return PERCENT.format(whole === 0 ? 0 : Math.floor((100 * part) / whole) / 100);
}

export function rateText(perSecond: number | null): string {
  return perSecond === null ? '–' : `${RATE.format(perSecond)}/s`;
}

export function sizeText(bytes: number): string {
  const unit = Math.min(SIZE_UNITS.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  return `${SIZE.format(bytes / 1000 ** unit)} ${SIZE_UNITS[unit] ?? ''}`;
}

/** `12 s`, `4 min`, `2 h 5 min`, `3 d 4 h`. */
export function durationText(seconds: number): string {
  if (seconds < MINUTE) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 10 * MINUTE) return pair(seconds, { unit: MINUTE, name: 'min', partUnit: 1, partName: 's' });
  if (seconds < HOUR) return `${Math.round(seconds / MINUTE)} min`;
  if (seconds < DAY) return pair(seconds, { unit: HOUR, name: 'h', partUnit: MINUTE, partName: 'min' });
  return pair(seconds, { unit: DAY, name: 'd', partUnit: HOUR, partName: 'h' });
}

/** As a duration, but not more precise than an estimate is: it would change with every frame. */
export function timeLeftText(seconds: number): string {
  if (seconds < MINUTE || seconds >= HOUR) return durationText(seconds);
  return `${Math.round(seconds / MINUTE)} min`;
}

interface UnitPair {
  readonly unit: number;
  readonly name: string;
  readonly partUnit: number;
  readonly partName: string;
}

function pair(seconds: number, { unit, name, partUnit, partName }: UnitPair): string {
  const parts = Math.round(seconds / partUnit);
  const [whole, rest] = [Math.floor((parts * partUnit) / unit), parts % (unit / partUnit)];
  return rest === 0 ? `${whole} ${name}` : `${whole} ${name} ${rest} ${partName}`;
}

/** In the unit of the scaler's prices, which has no name. */
export function moneyText(amount: number): string {
  return (amount > 0 && amount < SMALL_AMOUNT ? SMALL_MONEY : MONEY).format(amount);
}

/** The time alone if it is on the day of `now`. */
export function timeText(iso: string, now: Date): string {
  const at = new Date(iso);
  return (at.toDateString() === now.toDateString() ? TIME : DATE_AND_TIME).format(at);
}

/** A sentence that the commands print too, with its instants as `timeText`. */
export function withLocalTimes(sentence: string, now: Date): string {
  return sentence.replace(INSTANT, (_all, date: string, time: string) => timeText(`${date}T${time}`, now));
}

export function secondsBetween(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / 1000;
}
