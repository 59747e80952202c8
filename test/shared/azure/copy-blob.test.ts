import { expect, test } from 'vitest';

import { isWhole } from '../../../shared/azure/copy-blob.ts';

test.each([
  ['a block blob that was put or committed', { blobType: 'BlockBlob' }, true],
  ['one that was copied', { blobType: 'BlockBlob', copyStatus: 'success' }, true],
  ['one that is being copied', { blobType: 'BlockBlob', copyStatus: 'pending' }, false],
  ['one whose copy failed', { blobType: 'BlockBlob', copyStatus: 'failed' }, false],
  ['one whose copy was aborted', { blobType: 'BlockBlob', copyStatus: 'aborted' }, false],
  ['a blob that can grow', { blobType: 'AppendBlob' }, false],
  ['a disk', { blobType: 'PageBlob' }, false],
])('%s: is all of it there?', (_, state, expected) => {
  expect(isWhole(state)).toBe(expected);
});
