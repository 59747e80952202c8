/**
 * `unit` runs in seconds and touches nothing outside its process; `system` starts real servers, ffmpeg and worker processes;
 * `faults` kills and disturbs real processes; its long form is `npm run test:faults`. `terraform` runs the real Terraform with stub
 * providers, if they are installed: `npm run test:terraform`.
 */
import path from 'node:path';

import { defineConfig } from 'vitest/config';

const SYSTEM_TESTS = ['test/{integration,browser}/**/*.test.ts'];
const FAULT_TESTS = ['test/faults/**/*.test.ts'];
const TERRAFORM_TESTS = ['test/terraform/**/*.test.ts'];
/** What Node has compiled, for all programs that the tests start: it saves each of them a third of its start. */
const COMPILE_CACHE = { NODE_COMPILE_CACHE: path.resolve('node_modules/.cache/compiled') };
const IS_LONG = process.env['FAULTS_FORM'] === 'long';

export default defineConfig({
  test: {
    // Files that run one after the other in a process share its modules: loading the SDKs costs more than most files.
    isolate: false,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...SYSTEM_TESTS, ...FAULT_TESTS, ...TERRAFORM_TESTS],
          environment: 'node',
          testTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'system',
          env: COMPILE_CACHE,
          include: SYSTEM_TESTS,
          environment: 'node',
          // Bounds for a hang, not for slowness: other work may share the cores.
          testTimeout: 600_000,
          hookTimeout: 240_000,
          maxWorkers: 4,
        },
      },
      {
        test: {
          name: 'faults',
          env: COMPILE_CACHE,
          include: FAULT_TESTS,
          environment: 'node',
          testTimeout: IS_LONG ? 3_600_000 : 600_000,
          hookTimeout: 240_000,
          maxWorkers: IS_LONG ? 1 : 4,
        },
      },
      {
        test: {
          name: 'terraform',
          include: TERRAFORM_TESTS,
          environment: 'node',
          globalSetup: ['test/terraform/setup.ts'],
          testTimeout: 240_000,
          maxWorkers: 2,
        },
      },
    ],
  },
});
