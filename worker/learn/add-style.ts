/**
 * Gives the painter one more style: a row in each table of scales and shifts of its graph, and a value of its parameter `style`. Everything
 * else of the graph stays as it is, so the other styles paint the same pictures as before. PURE.
 */
import type { ModelManifest } from '../../shared/contract/model-manifest.ts';
import { decodeModel, encodeModel } from '../import/graph.ts';
import type { ModelProto, TensorProto } from '../import/onnx_pb.ts';

/** The parameter of the painter, and the input of its graph. */
export const STYLE = 'style';
/** Names of the tables in the graph: of the scales and shifts after each convolution, and of the canvas; a row for each style. */
const TABLE = /^net\..+\.(?:gamma|beta)$/;
const FLOAT_BYTES = 4;

/** The new row of each table, by its name. */
export type StyleRows = Readonly<Record<string, readonly number[]>>;

export interface LearnedStyle {
  readonly id: string;
  readonly title: string | null;
  readonly rows: StyleRows;
}

/** Ids of the styles that a model has, in order. */
export function stylesOf({ parameters }: Pick<ModelManifest, 'parameters'>): string[] {
  return (parameters[STYLE]?.values ?? []).map(({ id }) => id);
}

/** Whether the graph has such tables, with a row for each style of the manifest. */
export function hasStyleTables(file: Uint8Array, manifest: ModelManifest): boolean {
  const tables = tablesOf(decodeModel(file));
  const count = stylesOf(manifest).length;
  return (
    tables.length > 0 && tables.every(({ dims, rawData }) => Number(dims[0]) === count && rawData.length > 0)
  );
}

/** Throws RangeError if a row is missing or does not fit. */
export function addStyle(file: Uint8Array, style: LearnedStyle): Uint8Array {
  const model = decodeModel(file);
  for (const table of tablesOf(model)) append(table, style.rows[table.name]);
  for (const { name, type } of model.graph?.input ?? []) {
    if (name !== STYLE || type?.value.case !== 'tensorType') continue;
    const columns = type.value.value.shape?.dim.at(-1)?.value;
    if (columns?.case === 'dimValue') columns.value += 1n;
  }
  return encodeModel(model);
}

/** The manifest of the model with the new style; `sha256` is that of its graph. The file with float16 arithmetic has to be made again. */
export function withStyle(
  manifest: ModelManifest,
  { id, title }: Pick<LearnedStyle, 'id' | 'title'>,
  changes: Pick<ModelManifest, 'version' | 'sha256'>,
): ModelManifest {
  const { float16: _float16, ...rest } = manifest;
  const { [STYLE]: styles, ...others } = manifest.parameters;
  const value = { id, ...(title !== null && { title }) };
  const extended = { type: 'float32' as const, values: [...(styles?.values ?? []), value] };
  return { ...rest, ...changes, parameters: { [STYLE]: extended, ...others } };
}

function tablesOf({ graph }: ModelProto): TensorProto[] {
  return (graph?.initializer ?? []).filter(({ name, dims }) => TABLE.test(name) && dims.length === 2);
}

function append(table: TensorProto, row: readonly number[] | undefined): void {
  const [rows = 0n, columns = 0n] = table.dims;
  if (row?.length !== Number(columns) || !row.every(Number.isFinite))
    throw new RangeError(`expected ${columns} numbers for ${table.name}, received ${row?.length ?? 'none'}`);
  const added = new DataView(new ArrayBuffer(row.length * FLOAT_BYTES));
  for (const [index, value] of row.entries()) added.setFloat32(index * FLOAT_BYTES, value, true);
  table.rawData = Buffer.concat([table.rawData, Buffer.from(added.buffer)]);
  table.dims = [rows + 1n, columns];
}
