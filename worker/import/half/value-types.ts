/**
 * The types of the values of a graph, from its inputs on. PURE.
 *
 * Files rarely say them. A value whose type does not follow from the operators that are known here is left out, and is then treated as one
 * that cannot be changed.
 */
import { ELEMENT_TYPES } from '../graph.ts';
import type { AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto } from '../onnx_pb.ts';

const { float32, uint8, int32, int64, bool } = ELEMENT_TYPES;

/** Their outputs have the type of their first input. */
const SAME = new Set(
  [
    'Abs Acos Add Affine Asin Atan AveragePool BatchNormalization Ceil Celu Clip Compress Concat Conv ConvTranspose Cos Crop CumSum',
    'DepthToSpace Div Dropout Einsum Elu Erf Exp Expand Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool',
    'GlobalMaxPool GridSample GroupNormalization HardSigmoid HardSwish Hardmax Identity ImageScaler InstanceNormalization LRN LSTM',
    'LayerNormalization LeakyRelu Log LogSoftmax LpNormalization LpPool MatMul Max MaxPool Mean MeanVarianceNormalization Min Mish Mod Mul',
    'Neg PRelu Pad Pow RNN Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd',
    'ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence Round ScatterElements ScatterND Selu Sigmoid Sign Sin Slice Softmax',
    'Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Upsample',
  ].flatMap((line) => line.split(' ')),
);
const OF_INDEXES = new Set(['Shape', 'Size', 'NonZero', 'ArgMax', 'ArgMin', 'NonMaxSuppression']);
const OF_TRUTH = new Set(
  'Equal Greater Less GreaterOrEqual LessOrEqual Not And Or Xor IsNaN IsInf'.split(' '),
);
/** Their further outputs have another type: null stands for one that is not known. */
const FURTHER: Readonly<Record<string, number | null>> = {
  TopK: int64,
  MaxPool: int64,
  Dropout: null,
  BatchNormalization: null,
};

/** ONNX's number of the type, by the name of the value. */
export type ValueTypes = ReadonlyMap<string, number>;

export function valueTypesOf({ input, initializer, node }: GraphProto): ValueTypes {
  const types = new Map<string, number>();
  for (const value of input) set(types, value.name, declaredType(value));
  for (const { name, dataType } of initializer) set(types, name, dataType);
  for (const one of node) {
    const found = typesOf(one, types);
    for (const [index, name] of one.output.entries()) set(types, name, found(index));
  }
  return types;
}

function set(types: Map<string, number>, name: string, type: number | null | undefined): void {
  if (name !== '' && type !== undefined && type !== null && type !== 0) types.set(name, type);
}

/** The type of each output of a node, by its index. */
function typesOf(node: NodeProto, types: ValueTypes): (index: number) => number | null | undefined {
  const { opType, domain, input } = node;
  const ofInput = (index: number): number | undefined => types.get(input[index] ?? '');
  if (domain !== '' && domain !== 'ai.onnx') return () => undefined;
  if (OF_INDEXES.has(opType)) return () => int64;
  if (OF_TRUTH.has(opType)) return () => bool;
  if (SAME.has(opType)) {
    const same = input.map((_, index) => ofInput(index)).find((type) => type !== undefined);
    return (index) => (index === 0 || !(opType in FURTHER) ? same : FURTHER[opType]);
  }
  switch (opType) {
    case 'Cast':
      return () => Number(attributeOf(node, 'to')?.i ?? 0);
    case 'CastLike':
    case 'DequantizeLinear':
    case 'Where':
      return () => ofInput(1);
    case 'OneHot':
    case 'QuantizeLinear':
      return () => ofInput(2) ?? (opType === 'QuantizeLinear' ? uint8 : undefined);
    case 'Constant':
      return () => constantOf(node)?.dataType ?? (attributeOf(node, 'value_ints') && int64);
    case 'ConstantOfShape':
      return () => attributeOf(node, 'value')?.t?.dataType ?? float32;
    case 'MatMulInteger':
    case 'ConvInteger':
      return () => int32;
    case 'If':
      return bodyTypes(node, 'then_branch', 0);
    case 'Loop':
      return bodyTypes(node, 'body', 1);
    case 'Scan':
      return bodyTypes(node, 'body', 0);
    default:
      return () => undefined;
  }
}

/** What the outputs of a subgraph say of themselves; a loop's body has one more in front. */
function bodyTypes(
  node: NodeProto,
  attribute: string,
  offset: number,
): (index: number) => number | undefined {
  const outputs = attributeOf(node, attribute)?.g?.output ?? [];
  return (index) => {
    const value = outputs[index + offset];
    return value && declaredType(value);
  };
}

function declaredType({ type }: ValueInfoProto): number | undefined {
  return type?.value.case === 'tensorType' ? type.value.value.elemType : undefined;
}

export function attributeOf({ attribute }: NodeProto, name: string): AttributeProto | undefined {
  return attribute.find((one) => one.name === name);
}

/** The tensor of a node that is a constant. */
export function constantOf(node: NodeProto): TensorProto | undefined {
  return node.opType === 'Constant' ? attributeOf(node, 'value')?.t : undefined;
}
