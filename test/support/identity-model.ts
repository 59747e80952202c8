/**
 * The smallest model there is: it gives back the frame it takes. Written as protocol buffers by hand (onnx.proto3, ONNX 1.16),
 * because nothing else here can write ONNX.
 */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

const UINT8 = 2;
const IR_VERSION = 8;
const OPSET = 17;

function varint(value: number): Buffer {
  const groups: number[] = [];
  let rest = value;
  while (rest > 127) {
    groups.push((rest & 127) | 128);
    rest >>>= 7;
  }
  return Buffer.from([...groups, rest]);
}

const integer = (field: number, value: number): Buffer => Buffer.concat([varint(field << 3), varint(value)]);

function bytes(field: number, ...parts: (Buffer | string)[]): Buffer {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Buffer.concat([varint((field << 3) | 2), varint(content.length), content]);
}

/** uint8 [batch, height, width, 3]. */
function tensor(field: number, name: string): Buffer {
  const free = ['batch', 'height', 'width'].map((dimension) => bytes(1, bytes(2, dimension)));
  const shape = bytes(2, ...free, bytes(1, integer(1, 3)));
  return bytes(field, bytes(1, name), bytes(2, bytes(1, integer(1, UINT8), shape)));
}

function identityGraph(): Buffer {
  const node = bytes(1, bytes(1, 'frames'), bytes(2, 'same'), bytes(4, 'Identity'));
  const graph = bytes(7, node, bytes(2, 'identity'), tensor(11, 'frames'), tensor(12, 'same'));
  return Buffer.concat([integer(1, IR_VERSION), graph, bytes(8, integer(2, OPSET))]);
}

/** Puts the model into `<folder>/identity/`, as `FRAMEFLEET_LOCAL_MODELS` takes it. */
export async function writeIdentityModel(folder: string): Promise<void> {
  const graph = identityGraph();
  const pixels = { type: 'uint8', layout: 'NHWC', channels: 'rgb' };
  const manifest = {
    name: 'identity',
    version: '1',
    file: 'identity.onnx',
    sha256: createHash('sha256').update(graph).digest('hex'),
    input: { name: 'frames', ...pixels, size: 'any' },
    output: { name: 'same', ...pixels, scale: 1 },
  };
  const own = path.join(folder, 'identity');
  await mkdir(own, { recursive: true });
  await writeFile(path.join(own, manifest.file), graph);
  await writeFile(path.join(own, 'model.json'), JSON.stringify(manifest));
}
