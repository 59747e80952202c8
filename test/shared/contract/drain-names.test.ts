import { expect, test } from 'vitest';

import { drainBlob, vmIdOfDrain } from '../../../shared/contract/blob-names.ts';

test('the machine of a drain request is found again, and of nothing else', () => {
  expect(vmIdOfDrain(drainBlob('vm-1'))).toBe('vm-1');
  for (const name of [
    'drain/',
    'drain/../x',
    'drain/a/b',
    'drain/A',
    'jobs/vm-1',
    'drainvm-1',
    'override',
    '',
  ])
    expect(vmIdOfDrain(name)).toBeUndefined();
});
