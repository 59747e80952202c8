import { expect, test } from 'vitest';

import { drainBlob, vmIdOfDrain } from '../../../shared/contract/blob-names.ts';

test('vmIdOfDrain returns the VM of a drain request, and undefined for any other name', () => {
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
