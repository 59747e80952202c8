/** Write errors on standard output. All commands handle them with the same code; `scale` represents them. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { expect, test } from 'vitest';

const run = promisify(execFile);

/** Runs `scale ARGUMENTS REDIRECTION` in a shell. Returns its standard error, then its exit status. */
async function scale(args: string, redirection: string): Promise<string> {
  const command = `{ node scaler/cli/scale.ts ${args}; echo "status $?" >&2; } ${redirection}`;
  const { stderr } = await run('sh', ['-c', command], {
    env: { PATH: process.env['PATH'], FRAMEFLEET_LOCAL_FOLDER: '/nowhere' },
  });
  return stderr;
}

test('a command ends without an error if the reader has closed the pipe', async () => {
  expect(await scale('--help', '| true')).toBe('status 0\n');
});

test.each(['--help', '--json'])('a command reports that it cannot write its answer: %s', async (args) => {
  const stderr = await scale(args, '> /dev/full');
  expect(stderr).toContain('Cannot write to standard output: ENOSPC');
  expect(stderr).not.toContain('    at ');
  expect(stderr).toMatch(/status 73\n$/);
});
