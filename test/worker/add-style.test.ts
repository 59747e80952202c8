import { readFile } from 'node:fs/promises';

import { beforeAll, expect, test } from 'vitest';

import { type ModelManifest, modelManifest, parameterWeights } from '../../shared/contract/model-manifest.ts';
import {
  type StyleRows,
  addStyle,
  hasStyleTables,
  stylesOf,
  withStyle,
} from '../../worker/learn/add-style.ts';

let graph: Buffer;
let manifest: ModelManifest;
let rows: StyleRows;

beforeAll(async () => {
  graph = await readFile('worker/models/painter/painter.onnx');
  manifest = modelManifest.parse(JSON.parse(await readFile('worker/models/painter/model.json', 'utf8')));
  // One for each normalisation, of 3 x 32 + 64 channels in the encoder and the decoder and of 10 x 64 in the blocks; and one for the canvas,
  // which mixes four channels of noise into 64.
  const tables = ['n1', 'n2', 'n3', 'n4', ...blocks()];
  const ofNorms = Object.fromEntries(
    tables.flatMap((name) =>
      ['gamma', 'beta'].map((kind) => [
        `net.${name}.${kind}`,
        Array.from({ length: name.startsWith('res') || name === 'n2' ? 64 : 32 }, () => 0.5),
      ]),
    ),
  );
  rows = { ...ofNorms, 'net.canvas.gamma': Array.from({ length: 4 * 64 }, () => 0.5) };
});

function blocks(): string[] {
  return [0, 1, 2, 3, 4].flatMap((block) => [`res.${block}.1`, `res.${block}.3`]);
}

test('each table of the painter gets a row, so that the graph has one style more', () => {
  expect(hasStyleTables(graph, manifest)).toBe(true);
  const style = { id: 'mine', title: null, rows };
  const grown = addStyle(graph, style);
  const numbers = Object.values(rows).reduce((sum, row) => sum + row.length, 0);
  expect(numbers).toBe(2 * (3 * 32 + 11 * 64) + 4 * 64);
  // Four bytes for each number; lengths in the file may need a byte more.
  expect(grown.length - graph.length).toBeGreaterThanOrEqual(4 * numbers);
  expect(grown.length - graph.length).toBeLessThan(4 * numbers + 100);

  expect(hasStyleTables(grown, manifest)).toBe(false);
  const extended = withStyle(manifest, style, { version: '3-1', sha256: 'a'.repeat(64) });
  expect(hasStyleTables(grown, extended)).toBe(true);
  expect(modelManifest.parse(extended)).toEqual(extended);
  expect(stylesOf(extended)).toEqual([...stylesOf(manifest), 'mine']);
  // The first style is still the default, and `steady` still on.
  expect(parameterWeights(extended, {}).get('style')?.indexOf(1)).toBe(0);
  expect(parameterWeights(extended, { style: 'mine' }).get('style')?.indexOf(1)).toBe(8);
  expect(Object.keys(extended.parameters)).toEqual(Object.keys(manifest.parameters));
});

test.each([
  ['a missing row', () => ({})],
  ['a short row', () => ({ ...rows, 'net.n1.gamma': [1] })],
  [
    'a row that is no number',
    () => ({ ...rows, 'net.n4.beta': Array.from({ length: 32 }, () => Number.NaN) }),
  ],
])('%s is refused', (_, wrong) => {
  expect(() => addStyle(graph, { id: 'mine', title: null, rows: wrong() })).toThrow(RangeError);
});
