import { expect, test } from 'vitest';

import { resultNames } from '../../producer/jobs/publish-images.ts';
import { resultImageBlob } from '../../shared/contract/blob-names.ts';

function namesOf(...images: readonly (readonly [name: string, format?: string])[]): readonly string[] {
  const prefix = resultImageBlob('job-1', '');
  return resultNames(
    images.map(([name, format]) => ({ name, format })),
    (name) => resultImageBlob('job-1', name),
  ).map((name) => name.slice(prefix.length));
}

test('a name that storage allows stays as it is, whatever characters it has', () => {
  const names = ['a b.jpg', 'day 2/été #1?*.webp', '100%: "x" <y>|z.PNG', 'UPPER.JPG'];
  expect(namesOf(...names.map((name) => [name] as const))).toEqual(names);
});

test('a name keeps its ending if it fits the format, and gets the right one if it does not', () => {
  expect(namesOf(['a.JPEG', 'jpeg'], ['b.png', 'jpeg'], ['c.tif', 'tiff'])).toEqual([
    'a.JPEG',
    'b.jpg',
    'c.tif',
  ]);
});

test('an image whose name has to change never takes the name of another image', () => {
  // The second has the name that the first would get, the fourth the name that the third would get then.
  expect(
    namesOf(
      ['a\\.jpg', 'jpeg'],
      ['a_.jpg', 'jpeg'],
      ['b.png', 'jpeg'],
      ['b.jpg', 'jpeg'],
      ['b-2.jpg', 'jpeg'],
    ),
  ).toEqual(['a_-0.jpg', 'a_.jpg', 'b-7.jpg', 'b.jpg', 'b-2.jpg']);
  expect(namesOf(['..'], ['a/../b.png'], ['x .'])).toEqual(['_', 'a/_/b.png', 'x_']);
});

test('many images with one name in storage all have results of their own', () => {
  const names = namesOf(['a\u0001.jpg'], ['a\u0002.jpg'], ['a\u0003.jpg'], ['a_-1.jpg']);
  expect(new Set(names).size).toBe(4);
  expect(names[3]).toBe('a_-1.jpg');
});
