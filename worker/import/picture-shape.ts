/** Which input or output of a graph is a picture, and where its channels are. PURE. */
import type { GraphValue } from '../engine/check-model.ts';

export const LAYOUTS = ['NCHW', 'NHWC'] as const;
export type Layout = (typeof LAYOUTS)[number];
export type PixelType = 'float32' | 'float16' | 'uint8';

/** The model cannot be used, or its owner must say more about it. */
export class FormatError extends Error {
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** The one that looks like a picture. */
export function pictureAmong(
  side: 'input' | 'output',
  values: readonly GraphValue[],
  named: string | undefined,
  given: ReadonlyMap<string, unknown>,
): GraphValue {
  const names = values.map(({ name }) => `"${name}"`).join(', ');
  if (named !== undefined) {
    const found = values.find(({ name }) => name === named);
    if (found !== undefined) return found;
    throw new FormatError(`The model has no ${side} "${named}".`, `Its ${side}s are ${names}.`);
  }
  const free = values.filter(({ name }) => !given.has(name));
  const pictures = free.filter(isPicture);
  const candidates = pictures.length > 0 ? pictures : free.filter(({ shape }) => shape.length === 0);
  const [only] = candidates;
  if (only !== undefined && candidates.length === 1) return only;
  const described = values
    .map(({ name, type, shape }) => `"${name}" (${type}, ${shape.join(' x ')})`)
    .join(', ');
  if (only === undefined)
    throw new FormatError(
      `No ${side} of the model is a picture. Its ${side}s are ${described || 'none'}.`,
      'Only models that take a picture, and return a picture or numbers, can be added.',
    );
  throw new FormatError(
    `Several ${side}s of the model may be the picture: ${described}.`,
    `Choose one with \`--${side}\`.`,
  );
}

export function isPicture({ shape }: GraphValue): boolean {
  return (
    (shape.length === 4 || shape.length === 3) &&
    (layoutCandidates(shape).length > 0 || isOfAnyChannels(shape))
  );
}

/** A name, not a number, stands where the channels may be. */
export function isOfAnyChannels(shape: GraphValue['shape']): boolean {
  return shape.length === 4 && typeof shape[1] !== 'number' && typeof shape[3] !== 'number';
}

function isChannels(size: number | string | undefined): boolean {
  return size === 3 || size === 1;
}

function layoutCandidates(shape: GraphValue['shape']): Layout[] {
  const [first, , last] = shape.slice(-3);
  return [
    ...(isChannels(first) ? (['NCHW'] as const) : []),
    ...(isChannels(last) ? (['NHWC'] as const) : []),
  ];
}

export function layoutOf(
  side: 'input' | 'output',
  { name, shape }: GraphValue,
  answer: Layout | undefined,
): { readonly layout: Layout; readonly channelCount: number; readonly hasBatch: boolean } {
  const candidates = layoutCandidates(shape);
  const layout = answer ?? (candidates.length === 1 ? candidates[0] : undefined);
  if (layout === undefined || shape.length < 3 || shape.length > 4)
    throw new FormatError(
      `The ${side} "${name}" is ${shape.join(' x ') || 'of unknown shape'}, which does not say where its channels are.`,
      'Add `--layout NCHW` or `--layout NHWC`.',
    );
  const channelCount = layout === 'NCHW' ? shape.at(-3) : shape.at(-1);
  if (channelCount !== 3 && channelCount !== 1 && typeof channelCount === 'number')
    throw new FormatError(
      `The ${side} "${name}" has ${channelCount} channels.`,
      'Only pictures of one or three channels are supported.',
    );
  return {
    layout,
    channelCount: typeof channelCount === 'number' ? channelCount : 3,
    hasBatch: shape.length === 4,
  };
}

export function pictureType(side: 'input' | 'output', { name, type }: GraphValue): PixelType {
  if (type === 'float32' || type === 'float16' || type === 'uint8') return type;
  throw new FormatError(
    `The ${side} "${name}" is ${type}.`,
    'Only pictures of float32, float16 or uint8 are supported.',
  );
}
