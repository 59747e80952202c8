/**
 * `model.json`: declares a model's input, output and parameters, so that any worker can run it. PURE.
 *
 * The output is a picture, or numbers.
 *
 * A parameter is an extra input of the graph. Its value selects one of the named choices, such as `starry-night`, or blends
 * several, such as `starry-night:2,candy:1`. The weights of a blend are scaled to sum to 1.
 */
import { z } from 'zod';

import { NAME_PATTERN } from './blob-names.ts';
import { CONTEXT_FRAMES_MAX, LABELS_MAX, LABEL_CHARACTERS_MAX } from './limits.ts';
import type { ModelParameters } from './messages.ts';

const plainName = z.string().regex(NAME_PATTERN);

const tensor = z.object({
  name: z.string().min(1),
  type: z.literal('uint8'),
  layout: z.literal('NHWC'),
  channels: z.literal('rgb'),
});

/** In pixels. */
const side = z.int().min(1).max(16_384);

const parameter = z.object({
  type: z.literal('float32'),
  values: z
    .array(z.object({ id: plainName, title: z.string().optional() }).loose())
    .min(1)
    .max(1024),
});

/** A tensor that goes out with one frame and in with the next one. Before the first frame, it is zero. */
const stateTensor = z.object({
  input: z.string().min(1),
  output: z.string().min(1),
  type: z.enum(['uint8', 'float16', 'float32']),
  /** `height` and `width` are those of the frame that the model takes. */
  shape: z.array(z.union([z.int().min(1), z.enum(['height', 'width'])])).max(8),
});
export type StateTensor = z.infer<typeof stateTensor>;

/** A picture for each frame. */
const pictureOutput = tensor.extend({ scale: z.number().min(1).max(8) });

const labelList = z.array(z.string().max(LABEL_CHARACTERS_MAX)).max(LABELS_MAX).default([]);

export const BOX_FORMATS = ['xyxy', 'yxyx', 'xywh', 'cxcywh'] as const;
export const BOX_UNITS = ['pixels', 'share'] as const;

/** Numbers for each frame, in place of a picture: scores of classes, an embedding, boxes. */
const numbersOutput = z.strictObject({
  kind: z.literal('numbers'),
  /** By their names in the result: outputs of the graph, float32, with the frame as the first dimension. */
  tensors: z
    .record(z.string().min(1), z.string().min(1))
    .refine((tensors) => Object.keys(tensors).length > 0, { error: 'expected one or more outputs' }),
  /** One of them is a score for each class. Then only the best classes are reported. */
  classes: z
    .object({
      tensor: z.string().min(1),
      /** In the order of the scores. */
      labels: labelList,
      top: z.int().min(1).max(1_000).default(5),
      /** The scores are logits, and are reported as probabilities. */
      softmax: z.boolean().default(false),
    })
    .optional(),
  /** Others are boxes, as a detector returns them after it has dropped those that overlap. */
  boxes: z
    .object({
      /** Four numbers for each box. */
      boxes: z.string().min(1),
      /** One number for each box, or one for each box and class. */
      scores: z.string().min(1),
      /** The class of each box, if the scores do not say. */
      classes: z.string().min(1).optional(),
      /** Corners; or a corner or the centre (c) and the size. */
      format: z.enum(BOX_FORMATS),
      /** Pixels of the picture that the model takes, or shares of its sides. */
      unit: z.enum(BOX_UNITS),
      scoreMin: z.number().min(0).max(1).default(0.5),
      labels: labelList,
    })
    .optional(),
});
export type NumbersOutput = z.infer<typeof numbersOutput>;

export const modelManifest = z.object({
  name: plainName,
  version: plainName,
  /** The file of the graph, in the same folder. In storage it is always `model.onnx`. */
  file: z.string().regex(/^[\w.-]+\.onnx$/),
  /** Of `model.onnx`. A job pins it, and a worker checks it before it loads the model. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** The same model with float16 arithmetic, for GPUs. In storage it is always `model-float16.onnx`. */
  float16: z
    .object({
      file: z.string().regex(/^[\w.-]+\.onnx$/),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
      /** The greatest difference from float32, on a picture: in grey levels, or, of numbers, as a share of the largest one. */
      difference: z.number().min(0),
      /** Of a picture's values: how many differ by more than one grey level. */
      shareOverOne: z.number().min(0).max(1).optional(),
    })
    .optional(),
  input: tensor.extend({
    /** Any size, this one only, or sizes that are multiples of a number. A frame of another size is scaled, and its result scaled back. */
    size: z
      .union([
        z.literal('any'),
        z.strictObject({ width: side, height: side }),
        z.strictObject({ multipleOf: z.int().min(2).max(1024) }),
      ])
      .default('any'),
    /** How a frame gets a fixed size of another shape: distorted, or with black bars. */
    fit: z.enum(['stretch', 'letterbox']).default('stretch'),
    /** Frames with more pixels are scaled down for the model, and its pictures back: bounds the memory that it needs. */
    pixelsMax: z.int().min(4_096).optional(),
    /**
     * Larger frames are scored in tiles of this size. For models of which a pixel depends only on those around it, `overlap` pixels away at
     * most.
     */
    tile: z.strictObject({ width: side, height: side, overlap: z.int().min(0).max(512) }).optional(),
    /** The most frames in one run, if the graph leaves the batch free. The output of a frame must not depend on the others. */
    batch: z.union([z.literal('any'), z.int().min(1)]).default('any'),
  }),
  output: z.union([pictureOutput, numbersOutput]),
  parameters: z.record(plainName, parameter).default({}),
  /**
   * What the model keeps from frame to frame. Its frames run one by one and in order, each batch on one engine. A batch starts with zeros, and
   * with so many frames before it, whose output is dropped.
   */
  state: z
    .object({
      tensors: z.array(stateTensor).min(1).max(64),
      contextFrames: z.int().min(0).max(CONTEXT_FRAMES_MAX).default(0),
    })
    .optional(),
});
export type ModelManifest = z.infer<typeof modelManifest>;
export type HalfFile = NonNullable<ModelManifest['float16']>;
/** The manifest of a model that returns pictures. */
export type PictureModel = ModelManifest & { readonly output: z.infer<typeof pictureOutput> };

/** The value of a parameter names a choice that the model does not have. */
export class UnknownChoiceError extends Error {
  readonly parameter: string;
  readonly choices: readonly string[];

  constructor(parameterName: string, received: string, choices: readonly string[]) {
    super(`unknown ${parameterName} ${JSON.stringify(received)}`);
    this.parameter = parameterName;
    this.choices = choices;
  }
}

/** The model does not have this parameter. */
export class UnknownParameterError extends Error {}

/**
 * The extra inputs of the graph, by name: for each parameter of the model one row of weights, shape [1, choices].
 * Parameters that are not set get the first choice. Throws UnknownChoiceError and UnknownParameterError.
 */
export function parameterWeights(
  manifest: Pick<ModelManifest, 'name' | 'parameters'>,
  parameters: ModelParameters,
): Map<string, Float32Array> {
  for (const name of Object.keys(parameters)) {
    if (!Object.hasOwn(manifest.parameters, name)) {
      throw new UnknownParameterError(`the model ${manifest.name} has no parameter ${name}`);
    }
  }
  const weights = new Map<string, Float32Array>();
  for (const [name, { values }] of Object.entries(manifest.parameters)) {
    const choices = values.map(({ id }) => id);
    weights.set(name, blend(name, choices, parameters[name] ?? choices[0] ?? ''));
  }
  return weights;
}

/** A weight outside these bounds is probably a typing error. Within them, sums stay exact enough. */
const WEIGHT_MIN = 1e-6;
const WEIGHT_MAX = 1e6;

function blend(parameterName: string, choices: readonly string[], text: string): Float32Array {
  const weights = choices.map(() => 0);
  for (const part of text.split(',')) {
    const [id = '', weightText = '1'] = part.trim().split(':');
    const weight = Number(weightText);
    const index = choices.indexOf(id);
    if (index === -1 || !(weight >= WEIGHT_MIN && weight <= WEIGHT_MAX)) {
      throw new UnknownChoiceError(parameterName, part.trim(), choices);
    }
    weights[index] = (weights[index] ?? 0) + weight;
  }
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Float32Array.from(weights, (weight) => weight / total);
}
