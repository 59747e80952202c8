import { readFile } from 'node:fs/promises';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  UnknownChoiceError,
  UnknownParameterError,
  modelManifest,
  parameterWeights,
} from '../../../shared/contract/model-manifest.ts';
import { sha256OfFile } from '../../../shared/runtime/sha256.ts';

const PAINTER = new URL('../../../worker/models/painter/', import.meta.url);
const CHOICES = ['one', 'two', 'three', 'four'];
const MODEL = {
  name: 'test',
  parameters: { style: { type: 'float32' as const, values: CHOICES.map((id) => ({ id })) } },
};
const weightsOf = (style: string): number[] => [...(parameterWeights(MODEL, { style }).get('style') ?? [])];

async function readPainter(): Promise<unknown> {
  return JSON.parse(await readFile(new URL('model.json', PAINTER), 'utf8'));
}

test('the painter’s manifest is valid and has the hashes of the graphs next to it', async () => {
  const manifest = modelManifest.parse(await readPainter());
  expect(manifest.name).toBe('painter');
  expect(await sha256OfFile(new URL(manifest.file, PAINTER).pathname)).toBe(manifest.sha256);
  const { float16 } = manifest;
  expect(await sha256OfFile(new URL(float16?.file ?? '', PAINTER).pathname)).toBe(float16?.sha256);
  expect(parameterWeights(manifest, {}).get('style')?.length).toBe(
    manifest.parameters['style']?.values.length,
  );
});

test.each([
  ['a graph in another folder', { file: '../painter.onnx' }],
  ['no hash', { sha256: '' }],
  ['a float16 file without a hash', { float16: { file: 'painter-float16.onnx', difference: 1 } }],
  [
    'a float16 file in another folder',
    { float16: { file: '../x.onnx', sha256: 'a'.repeat(64), difference: 1 } },
  ],
  ['a name with a slash', { name: 'a/b' }],
  [
    'an unsupported layout',
    { input: { name: 'x', type: 'float32', layout: 'NCHW', channels: 'rgb', size: 'any' } },
  ],
  ['a parameter without choices', { parameters: { style: { type: 'float32', values: [] } } }],
])('a manifest with %s is rejected', async (_, fields) => {
  const painter = (await readPainter()) as object;
  expect(modelManifest.safeParse({ ...painter, ...fields }).success).toBe(false);
});

test('a manifest with a float16 file is read as it was written, and one without it stays valid', async () => {
  const { float16, ...before } = modelManifest.parse(await readPainter());
  expect(modelManifest.parse(JSON.parse(JSON.stringify(before)))).toEqual(before);
  const after = { ...before, float16: { ...float16, difference: 2, shareOverOne: 0.25 } };
  expect(modelManifest.parse(JSON.parse(JSON.stringify(after)))).toEqual(after);
});

test('an omitted parameter has its first choice', () => {
  expect([...(parameterWeights(MODEL, {}).get('style') ?? [])]).toEqual([1, 0, 0, 0]);
  expect(weightsOf('three')).toEqual([0, 0, 1, 0]);
});

test('the weights of a blend are scaled to a sum of 1, in any order and with any spaces', () => {
  expect(weightsOf('two:3, four')).toEqual([0, 0.75, 0, 0.25]);
  expect(weightsOf('four:0.5,two:1,four:0.5')).toEqual([0, 0.5, 0, 0.5]);
});

test('the weights of any blend have the requested proportions and a sum of 1', () => {
  const parts = fc.array(fc.tuple(fc.nat({ max: 3 }), fc.double({ min: 0.001, max: 1000, noNaN: true })), {
    minLength: 1,
  });
  fc.assert(
    fc.property(parts, (asked) => {
      const weights = weightsOf(asked.map(([index, weight]) => `${CHOICES[index]}:${weight}`).join(','));
      const total = asked.reduce((sum, [, weight]) => sum + weight, 0);
      for (const [index, weight] of weights.entries()) {
        const own = asked.filter(([one]) => one === index).reduce((sum, [, part]) => sum + part, 0);
        expect(weight).toBeCloseTo(own / total, 4);
      }
      expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 4);
    }),
  );
});

test.each([
  'five',
  '',
  'One',
  'one,',
  'one:0',
  'one:-1',
  'one:x',
  'one:',
  'one:Infinity',
  'one two',
  'one;two',
])('the style %j is unknown, and the error lists the choices', (style) => {
  expect(() => weightsOf(style)).toThrow(UnknownChoiceError);
  expect(() => weightsOf(style)).toThrow(expect.objectContaining({ parameter: 'style', choices: CHOICES }));
});

test('a parameter that the model does not have is an error', () => {
  expect(() => parameterWeights(MODEL, { style: 'one', strength: '2' })).toThrow(UnknownParameterError);
  expect(() => parameterWeights({ name: 'plain', parameters: {} }, { style: 'one' })).toThrow(
    'plain has no parameter style',
  );
});

test('a model without parameters has no extra inputs', () => {
  expect(parameterWeights({ name: 'plain', parameters: {} }, {}).size).toBe(0);
});
