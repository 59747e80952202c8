/** `framefleet COMMAND …` as a user runs it, from any folder and by a link, as npm installs it. */
import { mkdir, readFile, rm, symlink } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { type CommandEnd, framefleet } from '../../support/commands.ts';
import { processesOf } from '../../support/processes.ts';
import { testFolder } from '../../support/servers.ts';

let folder = '';
const at = (name: string): string => path.join(folder, name);

beforeAll(async () => {
  folder = await testFolder();
  await symlink(path.resolve('infra/bin/framefleet'), at('framefleet'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function run(...args: string[]): Promise<CommandEnd> {
  const options = { localFolder: at('fleet'), currentFolder: folder };
  return framefleet(args, options, at('framefleet')).end;
}

test.each(['--help', '-h', 'help'])('%s lists every command, each on a line', async (help) => {
  const { scripts } = JSON.parse(await readFile('package.json', 'utf8')) as {
    scripts: Record<string, string>;
  };
  const commands = Object.keys(scripts).filter((name) => scripts[name]?.startsWith('exec node '));
  expect(commands.length).toBeGreaterThan(8);
  const { status, stdout, stderr } = await run(help);
  for (const name of commands) expect(stdout).toMatch(new RegExp(`^ {2}${name} +[a-z]`, 'm'));
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

test('each command runs the same program as its npm script', async () => {
  const launcher = await readFile('infra/bin/commands.ts', 'utf8');
  const { scripts } = JSON.parse(await readFile('package.json', 'utf8')) as {
    scripts: Record<string, string>;
  };
  const programs = [...launcher.matchAll(/name: '(\w+)',\s+program: '([^']+)'/g)];
  expect(programs.length).toBeGreaterThan(8);
  for (const [, name = '', program] of programs) expect(scripts[name]).toBe(`exec node ${program}`);
});

test.each([
  ['fetch', '--help'],
  ['help', 'fetch'],
])('%s %s prints the help of the command as framefleet runs it', async (...args) => {
  const { status, stdout } = await run(...args);
  expect(stdout).toContain('Usage: framefleet fetch JOB [options]\n');
  expect(stdout).not.toContain('npm');
  expect(status).toBe(0);
});

test.each('enqueue fetch cap start scale explain doctor poison share'.split(' '))(
  '%s --help prints help and does nothing else',
  async (name) => {
    const { status, stdout, stderr } = await run(name, '--help');
    expect(stdout).toMatch(new RegExp(`^Usage: framefleet ${name}\\b`));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  },
);

test('start rejects arguments', async () => {
  const { status, stdout, stderr } = await run('start', 'extra');
  expect(stderr).toContain('Usage: framefleet start. It has no arguments.');
  expect({ status, stdout }).toEqual({ status: 64, stdout: '' });
});

test('--version prints the version of the package', async () => {
  const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
  expect(await run('--version')).toMatchObject({ status: 0, stdout: `${version}\n` });
});

test.each([
  [[], 'No command given.'],
  [['enqeue'], "Unknown command 'enqeue'."],
  [['help', 'enqeue'], "Unknown command 'enqeue'."],
])('framefleet rejects %j with a hint', async (args, message) => {
  expect(await run(...args)).toMatchObject({
    status: 64,
    stdout: '',
    stderr: `\n${message}\nList all commands with: framefleet --help\n`,
  });
});

test('the exit status and the standard streams of the command pass through, with hints for framefleet', async () => {
  const { status, stdout, stderr } = await run('enqueue', 'a.mp4', 'b.mp4');
  expect(stderr).toBe(
    '\nToo many arguments. Expected 1 argument but got 2: a.mp4, b.mp4.\n' +
      'Usage: framefleet enqueue VIDEO [options]. For help: framefleet enqueue --help\n',
  );
  expect({ status, stdout }).toEqual({ status: 64, stdout: '' });
});

test('a name that starts with a dash follows --, and paths are relative to the current folder', async () => {
  const { status, stdout } = await run('enqueue', '--json', '--', '-odd-name.mp4');
  expect(JSON.parse(stdout)).toMatchObject({
    error: {
      code: 'SOURCE_MISSING',
      message: expect.stringContaining(at('-odd-name.mp4')) as string,
    },
  });
  expect(status).toBe(66);
});

test('framefleet prepares the machine first, as the npm scripts do', async () => {
  const programs = at('programs');
  await mkdir(programs);
  for (const name of ['dirname', 'readlink']) await symlink(`/usr/bin/${name}`, path.join(programs, name));
  await symlink(process.execPath, path.join(programs, 'node'));
  const options = { localFolder: at('fleet'), environment: { PATH: programs } };
  const { status, stdout, stderr } = await framefleet(['doctor', '--json'], options).end;
  expect(stderr).toContain('ffmpeg');
  expect({ status, stdout }).toEqual({ status: 69, stdout: '' });
});

test('a signal to framefleet reaches the command, which stops in order', async () => {
  const fleet = framefleet(['start'], { localFolder: at('fleet'), currentFolder: folder });
  await fleet.said('The local fleet is running');
  fleet.child.kill('SIGTERM');
  expect(await fleet.end).toMatchObject({ status: 0, signal: null });
  expect(await processesOf(at('fleet'))).toEqual([]);
});
