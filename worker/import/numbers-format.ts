/** Outputs of a graph that are numbers, not a picture: which ones, and whether one has the scores of classes. PURE. */
import type { NumbersOutput } from '../../shared/contract/model-manifest.ts';
import type { GraphValue } from '../engine/check-model.ts';
import { ELEMENT_TYPES } from './graph.ts';
import { FormatError, isPicture } from './picture-shape.ts';

/** What the owner says of the output. */
export interface NumbersAnswers {
  readonly output?: string;
  /** The output is numbers, although it looks like a picture. */
  readonly numbers?: boolean;
  /** The output is a score for each of these classes. */
  readonly labels?: readonly string[];
  /** So many of the best classes are reported. */
  readonly top?: number;
  /** The scores are logits. */
  readonly softmax?: boolean;
  /** Outputs that are boxes. Then the labels are those of the boxes. */
  readonly boxes?: Omit<NonNullable<NumbersOutput['boxes']>, 'labels'>;
}

/** Numbers in place of a picture. */
export interface NumbersFormat {
  readonly kind: 'numbers';
  readonly tensors: readonly {
    readonly name: string;
    readonly type: string;
    readonly shape: GraphValue['shape'];
    /** False if the first dimension is not the frame. */
    readonly hasBatch: boolean;
  }[];
  /** The output with a score for each class, if the owner says that there is one. */
  readonly boxes: (NumbersAnswers['boxes'] & Pick<NumbersAnswers, 'labels'>) | undefined;
  readonly classes:
    | ({ readonly tensor: string } & Pick<NumbersAnswers, 'labels' | 'top' | 'softmax'>)
    | undefined;
}

/** A picture, if one output may be one and the owner says nothing else. */
export function returnsNumbers(outputs: readonly GraphValue[], answers: NumbersAnswers): boolean {
  const { numbers = false, labels, top, softmax, boxes } = answers;
  if (numbers || boxes !== undefined || labels !== undefined || top !== undefined || softmax !== undefined)
    return true;
  return !outputs.some(
    (value) =>
      (answers.output === undefined || value.name === answers.output) &&
      (isPicture(value) || value.shape.length === 0),
  );
}

export function numbersFormat(
  outputs: readonly GraphValue[],
  batch: 'any' | number,
  answers: NumbersAnswers,
): NumbersFormat {
  const { output: named, labels, top, softmax, boxes } = answers;
  const wanted = outputs.filter(({ name }) => named === undefined || name === named);
  const names = outputs.map(({ name }) => `"${name}"`).join(', ');
  if (wanted.length === 0)
    throw new FormatError(`The model has no output "${named}".`, `Its outputs are ${names}.`);
  for (const { name, type } of wanted) {
    if (!Object.hasOwn(ELEMENT_TYPES, type))
      throw new FormatError(
        `The output "${name}" is ${type}, not numbers.`,
        outputs.length > 1
          ? 'Choose an output of numbers with `--output`.'
          : 'Export the model without its last step, so that it returns numbers.',
      );
  }
  if (boxes !== undefined) {
    const missing = [boxes.boxes, boxes.scores, boxes.classes].find(
      (name) => name !== undefined && !wanted.some((one) => one.name === name),
    );
    if (missing !== undefined)
      throw new FormatError(`The model has no output "${missing}".`, `Its outputs are ${names}.`);
  }
  const isOfClasses =
    boxes === undefined && (labels !== undefined || top !== undefined || softmax !== undefined);
  const [first, ...others] = wanted;
  if (first !== undefined && isOfClasses && others.length > 0)
    throw new FormatError(
      `Several outputs of the model may be the scores of the classes: ${names}.`,
      'Choose one with `--output`.',
    );
  return {
    kind: 'numbers',
    tensors: wanted.map(({ name, type, shape }) => ({
      name,
      type,
      shape,
      hasBatch: isOfFrames(shape, batch),
    })),
    boxes: boxes && { ...boxes, ...(labels && { labels }) },
    classes:
      first !== undefined && isOfClasses
        ? {
            tensor: first.name,
            ...(labels && { labels }),
            ...(top !== undefined && { top }),
            ...(softmax !== undefined && { softmax }),
          }
        : undefined,
  };
}

/** Whether the first dimension of an output is the frame. One that varies, of a model that takes one frame, is something else. */
function isOfFrames([first, ...rest]: GraphValue['shape'], batch: 'any' | number): boolean {
  if (first === undefined) return true;
  if (typeof first === 'number') return batch === 'any' ? first === 1 && rest.length > 0 : first === batch;
  return batch === 'any';
}
