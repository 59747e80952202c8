/** The free memory and the name of a GPU, from a stand-in for `nvidia-smi`. */
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { deviceName, freeDeviceBytes } from '../../../worker/engine/device-memory.ts';
import { testFolder } from '../../support/servers.ts';

let folder = '';
beforeEach(async () => {
  folder = await testFolder();
  vi.stubEnv('PATH', `${folder}:/usr/bin:/bin`);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

test.for([
  ['its driver reports', 'echo 14975', 14_975 * 2 ** 20],
  ['it is the GPU that was asked for', 'case "$*" in *--id=1*) echo 7;; *) echo 8;; esac', 7 * 2 ** 20],
  ['the driver does not report it', 'echo "[N/A]"', null],
  ['the driver fails', 'echo 14975; exit 9', null],
] as const)('the free memory of a GPU, if %s', async ([, script, expected]) => {
  await writeFile(path.join(folder, 'nvidia-smi'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  expect(await freeDeviceBytes(1)).toBe(expected);
});

test('the name of a GPU is the one that its driver reports', async () => {
  const script = '#!/bin/sh\ncase "$*" in *--id=1*=name*) echo "Tesla T4";; *) exit 1;; esac\n';
  await writeFile(path.join(folder, 'nvidia-smi'), script, { mode: 0o755 });
  expect(await deviceName(1)).toBe('Tesla T4');
});

test('nothing is known of a GPU if there is no driver', async () => {
  vi.stubEnv('PATH', folder);
  expect(await freeDeviceBytes(0)).toBeNull();
  expect(await deviceName(0)).toBeNull();
});
