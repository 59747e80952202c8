/**
 * Which operators compute in float16. PURE.
 *
 * The list is of those that lose little by it and that ONNX Runtime's CUDA provider has in float16, from the given opset on (its
 * list of kernels, `OperatorKernels` in its documentation). All others stay as they are: sums and means over many values, squares, roots, exponentials and normalisations.
 */

/** They do most of the arithmetic, and have the weights. */
const WEIGHTED: Readonly<Record<string, number>> = { Conv: 1, ConvTranspose: 1, Gemm: 7, MatMul: 1 };

const LEADING: Readonly<Record<string, number>> = {
  ...WEIGHTED,
  AveragePool: 7,
  BatchNormalization: 7,
  Clip: 12,
  DepthToSpace: 1,
  Elu: 6,
  HardSigmoid: 6,
  HardSwish: 14,
  LeakyRelu: 6,
  MaxPool: 1,
  PRelu: 7,
  Relu: 6,
  Resize: 10,
  Sigmoid: 6,
  SpaceToDepth: 1,
  Tanh: 6,
  Upsample: 7,
};

const FOLLOWING: Readonly<Record<string, number>> = {
  Abs: 6,
  Add: 7,
  Affine: 1,
  Concat: 4,
  Crop: 1,
  Div: 7,
  Dropout: 7,
  Expand: 8,
  Flatten: 1,
  Gather: 1,
  Identity: 1,
  ImageScaler: 1,
  Max: 8,
  Min: 8,
  Mul: 7,
  Neg: 6,
  Pad: 2,
  Reshape: 5,
  Slice: 1,
  Split: 2,
  Squeeze: 1,
  Sub: 7,
  Tile: 6,
  Transpose: 1,
  Unsqueeze: 1,
  Where: 9,
};

/** What is computed from their results to become whole numbers. */
const ROUNDING = new Set(['Ceil', 'Floor', 'Round']);
/** An error in what they take is one in what they return. */
const ELEMENTWISE = new Set(
  [
    'Abs Add Affine Clip Concat Div HardSigmoid Identity Max Min Mul Neg Relu Reshape Sigmoid Slice Squeeze Sub Tanh Transpose',
    'Unsqueeze Where',
  ].flatMap((line) => line.split(' ')),
);
/** Their further inputs of float32 stay so in every opset. */
const FIRST_INPUT_ONLY = new Set(['Resize', 'Upsample']);

export function isWeighted(opType: string): boolean {
  return opType in WEIGHTED;
}

/** Computes in float16, whatever its input was computed in: this is where the time goes. */
export function leads(opType: string, opset: number): boolean {
  return opset >= (LEADING[opType] ?? Infinity);
}

/** Computes in float16 if an input is of it already: a cast for it alone would cost more than it saves. */
export function follows(opType: string, opset: number): boolean {
  return opset >= (FOLLOWING[opType] ?? Infinity);
}

export function rounds(opType: string): boolean {
  return ROUNDING.has(opType);
}

export function isElementwise(opType: string): boolean {
  return ELEMENTWISE.has(opType);
}

/** Whether an input may be of float16. */
export function takesHalf(opType: string, inputIndex: number): boolean {
  return inputIndex === 0 || !FIRST_INPUT_ONLY.has(opType);
}
