/**
 * Two projects: `unit` runs in seconds and touches nothing outside its process; `system` starts real servers, ffmpeg and
 * worker processes. What takes minutes is in `test/faults/*.long.ts` and `test/bench`, which neither runs.
 */
import { defineConfig } from 'vitest/config';

const SYSTEM_TESTS = ['test/integration/**/*.test.ts', 'test/faults/**/*.test.ts'];

export default defineConfig({
  test: {
    projects: [
      {
        test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: SYSTEM_TESTS, environment: 'node' },
      },
      {
        test: {
          name: 'system',
          include: SYSTEM_TESTS,
          environment: 'node',
          // Bounds for a hang, not for slowness: other work may share the cores.
          testTimeout: 240_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
    ],
  },
});
