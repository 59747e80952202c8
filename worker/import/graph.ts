/** Reads what a model file says about itself. Weights in a second file are taken into the graph, so that one file is the whole model. */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';

import { fromBinary, toBinary } from '@bufbuild/protobuf';

import { PermanentError, describeError, errnoOf } from '../../shared/runtime/errors.ts';
import type { GraphValue } from '../engine/check-model.ts';
import {
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type TensorProto,
  type ValueInfoProto,
} from './onnx_pb.ts';

/** A file of ONNX's format must be smaller than this. */
const BYTES_MAX = 2 ** 31 - 1;
const IN_ANOTHER_FILE = 1;

/** ONNX's numbers for the types of elements, and onnxruntime's names. */
export const ELEMENT_TYPES = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
} as const;
export type ElementType = keyof typeof ELEMENT_TYPES;

/** Throws if the bytes are not a model. */
export function decodeModel(bytes: Uint8Array): ModelProto {
  return fromBinary(ModelProtoSchema, bytes);
}

export function encodeModel(model: ModelProto): Uint8Array {
  return toBinary(ModelProtoSchema, model);
}

export interface ImportedGraph {
  readonly model: ModelProto;
  readonly graph: GraphProto;
  /** Of ONNX's own operators. */
  readonly opset: number;
  /** Without those that the file gives a value. */
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  readonly metadata: ReadonlyMap<string, string>;
}

/** Throws MODEL_INVALID. */
export async function readGraph(file: string): Promise<ImportedGraph> {
  const bytes = await readModelFile(file);
  const model = parse(file, bytes);
  const { graph } = model;
  const opset = opsetOf(model);
  if (graph === undefined || opset === undefined || graph.output.length === 0)
    throw unreadable(file, 'it contains no graph');
  let sizeBytes = bytes.length;
  for (const tensor of tensorsOf(graph)) {
    if (tensor.dataLocation !== IN_ANOTHER_FILE) continue;
    const data = await readExternal(file, tensor);
    sizeBytes += data.length;
    if (sizeBytes > BYTES_MAX)
      throw new PermanentError('MODEL_INVALID', `${file} and its weights are larger than 2 GiB.`, {
        hint: 'Export the model with float16 weights, or prune it.',
      });
    tensor.rawData = data;
    tensor.dataLocation = 0;
    tensor.externalData = [];
  }
  const given = new Set(graph.initializer.map(({ name }) => name));
  return {
    model,
    graph,
    opset,
    inputs: graph.input.filter(({ name }) => !given.has(name)).map(graphValue),
    outputs: graph.output.map(graphValue),
    metadata: new Map(model.metadataProps.map(({ key, value }) => [key, value])),
  };
}

/** The version of ONNX's own operators; undefined if the model names none. */
export function opsetOf({ opsetImport }: ModelProto): number | undefined {
  const found = opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx');
  return found && Number(found.version);
}

async function readModelFile(file: string): Promise<Buffer> {
  try {
    const { size } = await stat(file);
    if (size > BYTES_MAX) throw unreadable(file, 'it is larger than 2 GiB');
    return await readFile(file);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    if (errnoOf(error) === 'ENOENT')
      throw new PermanentError('SOURCE_MISSING', `Cannot read ${file}: there is no such file.`, {
        hint: 'Check the path of the ONNX file.',
      });
    throw new PermanentError('MODEL_INVALID', `Cannot read ${file}: ${describeError(error)}.`, {
      cause: error,
    });
  }
}

function parse(file: string, bytes: Buffer): ModelProto {
  try {
    return decodeModel(bytes);
  } catch (cause) {
    throw unreadable(file, `it cannot be parsed (${describeError(cause)})`);
  }
}

function unreadable(file: string, why: string): PermanentError {
  return new PermanentError('MODEL_INVALID', `${file} is not a complete ONNX model: ${why}.`, {
    hint: 'Export the model again, in the ONNX format.',
  });
}

/** Of the graph and its subgraphs. */
function* tensorsOf(graph: GraphProto): Generator<TensorProto> {
  yield* graph.initializer;
  for (const { attribute } of graph.node) {
    for (const { t, tensors, g, graphs } of attribute) {
      if (t !== undefined) yield t;
      yield* tensors;
      if (g !== undefined) yield* tensorsOf(g);
      for (const subgraph of graphs) yield* tensorsOf(subgraph);
    }
  }
}

async function readExternal(file: string, { name, externalData }: TensorProto): Promise<Buffer> {
  const valueOf = (wanted: string) => externalData.find(({ key }) => key === wanted)?.value;
  const location = valueOf('location') ?? '';
  // The name comes from the model: it must not lead out of the model's folder.
  if (location === '' || path.basename(location) !== location)
    throw unreadable(
      file,
      `the weights "${name}" are in ${JSON.stringify(location)}, which is not a file beside it`,
    );
  const beside = path.join(path.dirname(file), location);
  const all = await readFile(beside).catch((cause: unknown) => {
    if (errnoOf(cause) !== 'ENOENT') throw cause;
    throw new PermanentError('MODEL_INVALID', `${file} keeps its weights in ${location}, which is missing.`, {
      hint: `Put ${location} into the folder ${path.dirname(path.resolve(file))}.`,
    });
  });
  const offset = Number(valueOf('offset') ?? 0);
  const data = all.subarray(offset, offset + Number(valueOf('length') ?? all.length - offset));
  if (valueOf('length') !== undefined && data.length !== Number(valueOf('length')))
    throw unreadable(file, `${location} is too short for the weights "${name}"`);
  return data;
}

function graphValue({ name, type }: ValueInfoProto): GraphValue {
  if (type?.value.case !== 'tensorType') return { name, type: 'not a tensor', shape: [] };
  const { elemType, shape } = type.value.value;
  const known = Object.entries(ELEMENT_TYPES).find(([, number]) => number === elemType);
  const dimensions = (shape?.dim ?? []).map(({ value }) =>
    value.case === 'dimValue' ? Number(value.value) : value.case === 'dimParam' ? value.value : '?',
  );
  return { name, type: known?.[0] ?? `element type ${elemType}`, shape: dimensions };
}
