/** Parses the values of options of `npm run model`. PURE. */
import { InvalidArgumentError } from 'commander';

import { CONTEXT_FRAMES_MAX } from '../../../shared/contract/limits.ts';
import type { FrameSize } from '../../../shared/contract/segment.ts';

export function parseScore(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('Expected a number from 0 to 1.');
}

export function parseNumbers(text: string): number[] {
  const values = text.split(',').map(Number);
  if (text.trim() !== '' && values.every(Number.isFinite)) return values;
  throw new InvalidArgumentError('Expected numbers with commas between them, such as 0.485,0.456,0.406.');
}

export function parseDivisors(text: string): number[] {
  const values = parseNumbers(text);
  if (values.every((value) => value !== 0)) return values;
  throw new InvalidArgumentError('Expected numbers other than 0: values are divided by them.');
}

export function parseCount(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 2 && value <= 1024) return value;
  throw new InvalidArgumentError('Expected a whole number from 2 to 1024.');
}

export function parseTop(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 1000) return value;
  throw new InvalidArgumentError('Expected a whole number from 1 to 1000.');
}

export function parseOverlap(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0 && value <= 512) return value;
  throw new InvalidArgumentError('Expected a whole number from 0 to 512.');
}

export function parseMegapixels(text: string): number {
  const value = Number(text);
  if (value >= 0.01 && value <= 1000) return value;
  throw new InvalidArgumentError('Expected megapixels, such as 3.7 for 2560 x 1440.');
}

export function parseSize(text: string): FrameSize {
  const [, width, height] = /^(\d{1,5})x(\d{1,5})$/.exec(text) ?? [];
  if (Number(width) >= 1 && Number(height) >= 1) return { width: Number(width), height: Number(height) };
  throw new InvalidArgumentError('Expected width and height in pixels, such as 224x224.');
}

/** `input=output`. */
export function collectStates(text: string, before: ReadonlyMap<string, string>): Map<string, string> {
  const at = text.indexOf('=');
  if (at < 1 || at === text.length - 1)
    throw new InvalidArgumentError('Expected an input and an output, such as hidden_in=hidden_out.');
  return new Map([...before, [text.slice(0, at), text.slice(at + 1)]]);
}

export function parseContextFrames(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= CONTEXT_FRAMES_MAX) return value;
  throw new InvalidArgumentError(`Expected a whole number from 0 to ${CONTEXT_FRAMES_MAX}.`);
}

export function collectValues(
  text: string,
  before: ReadonlyMap<string, readonly number[]>,
): Map<string, number[]> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Expected a name and numbers, such as strength=0.5.');
  return new Map([...before, [text.slice(0, at), parseNumbers(text.slice(at + 1))]]) as Map<string, number[]>;
}
