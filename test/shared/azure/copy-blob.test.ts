import { expect, test } from 'vitest';

import { isComplete } from '../../../shared/azure/copy-blob.ts';

test.each([
  ['a committed block blob', { blobType: 'BlockBlob' }, true],
  ['a copied block blob', { blobType: 'BlockBlob', copyStatus: 'success' }, true],
  ['a block blob whose copy is pending', { blobType: 'BlockBlob', copyStatus: 'pending' }, false],
  ['a block blob whose copy failed', { blobType: 'BlockBlob', copyStatus: 'failed' }, false],
  ['a block blob whose copy was aborted', { blobType: 'BlockBlob', copyStatus: 'aborted' }, false],
  ['an append blob', { blobType: 'AppendBlob' }, false],
  ['a page blob', { blobType: 'PageBlob' }, false],
])('isComplete tells whether %s is complete', (_, state, expected) => {
  expect(isComplete(state)).toBe(expected);
});
