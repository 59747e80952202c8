/** Standard output that a command cannot write to. The frame of all commands is the same; `scale` stands for them. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { expect, test } from 'vitest';

const run = promisify(execFile);

/** What the shell says of `scale ARGUMENTS` with this behind it: its exit status, then its standard error. */
async function scale(args: string, redirection: string): Promise<string> {
  const command = `{ node scaler/cli/scale.ts ${args}; echo "status $?" >&2; } ${redirection}`;
  const { stderr } = await run('sh', ['-c', command], {
    env: { PATH: process.env['PATH'], FRAMEFLEET_LOCAL_FOLDER: '/nowhere' },
  });
  return stderr;
}

test('a command whose reader has gone ends without an error', async () => {
  expect(await scale('--help', '| true')).toBe('status 0\n');
});

test.each(['--help', '--json'])('a command that cannot write its answer says so: %s', async (args) => {
  const said = await scale(args, '> /dev/full');
  expect(said).toContain('Cannot write to standard output: ENOSPC');
  expect(said).not.toContain('    at ');
  expect(said).toMatch(/status 73\n$/);
});
