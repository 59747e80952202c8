/** `framefleet completion`: the scripts in a real bash and, where it is installed, a real zsh, and the ids of jobs of a local fleet. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { openBlobStore } from '../../../shared/azure/blob-store.ts';
import { PATIENT, storageAccount } from '../../../shared/azure/credentials.ts';
import { findReadyStack } from '../../../shared/command/local-stack.ts';
import { triggerBlob } from '../../../shared/contract/blob-names.ts';
import { type RunningCommand, framefleet, startStackCommand } from '../../support/commands.ts';
import { eventually } from '../../support/eventually.ts';
import { testFolder } from '../../support/servers.ts';

const UPLOAD = '20261124-120000-upload-0a0a0a';
const JOBS = [
  '20261122-101500-harbour-0a1b2c',
  '20261123-061502-harbour-9f3a1c',
  '20261124-120000-holiday-77aa00',
];
const hasZsh = spawnSync('zsh', ['--version']).status === 0;
const runFile = promisify(execFile);

let folder = '';
let script = '';
const at = (name: string): string => path.join(folder, name);
const run = (...args: string[]) => framefleet(args, { localFolder: at('fleet') }).end;

beforeAll(async () => {
  folder = await testFolder();
  script = (await run('completion', 'bash')).stdout;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What bash offers for these words, of which it completes the last. */
async function bashOffers(words: readonly string[], given = script): Promise<readonly string[]> {
  const code = [
    given,
    'COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))',
    // The function that is registered for the first word.
    'read -ra spec <<<"$(complete -p "$1")"; "${spec[-2]}"',
    'printf "%s\\n" "${COMPREPLY[@]}"',
  ].join('\n');
  const { stdout, stderr } = await runFile('bash', ['--norc', '-c', code, 'bash', ...words], {
    cwd: folder,
    env: { PATH: process.env['PATH'], FRAMEFLEET_LOCAL_FOLDER: at('fleet') },
  });
  expect(stderr).toBe('');
  return stdout.split('\n').filter((line) => line !== '');
}

describe('in bash', () => {
  test.each([
    ['commands', ['framefleet', 'sta'], ['status', 'start']],
    ['actions', ['framefleet', 'poison', ''], ['list', 'show', 'redrive', 'drop', 'help']],
    ['options', ['framefleet', 'enqueue', 'video.mp4', '--pri'], ['--priority']],
    ['choices', ['framefleet', 'enqueue', '--priority', ''], ['low', 'normal', 'high']],
    [
      'choices behind an equals sign, which is a word',
      ['framefleet', 'enqueue', '--priority', '=', 'h'],
      ['high'],
    ],
    ['commands behind npx', ['npx', 'framefleet', 'sca'], ['scale']],
    ['nothing behind npx for other programs', ['npx', 'vitest', 'sca'], []],
    ['no ids without a local fleet', ['framefleet', 'status', ''], []],
  ])('completes %s', async (_, words, offered) => {
    expect(await bashOffers(words)).toEqual(offered);
  });

  test('does not run what is typed', async () => {
    const file = at('touched');
    await bashOffers(['framefleet', 'enqueue', `$(touch ${file})`, '`touch', `${file}\``, '--pri']);
    await expect(rm(file)).rejects.toThrow(/ENOENT/);
  });

  test('keeps a completion of npx that is there already', async () => {
    expect(
      await bashOffers(
        ['npx', 'framefleet', 'sca'],
        `mine() { COMPREPLY=(own); }; complete -F mine npx\n${script}`,
      ),
    ).toEqual(['own']);
  });

  test('completes from a checkout whose path needs quotes', async () => {
    const folders = at("it's a folder/infra");
    await mkdir(folders, { recursive: true });
    await symlink(path.resolve('infra/bin'), path.join(folders, 'bin'));
    const moved = script.replace(
      /^_framefleet_program=.*$/m,
      () => `_framefleet_program=${JSON.stringify(path.join(folders, 'bin/framefleet'))}`,
    );
    expect(await bashOffers(['framefleet', 'sca'], moved)).toEqual(['scale']);
  });

  test('offers nothing, and prints nothing, if the checkout is gone', async () => {
    const gone = script.replace(/^_framefleet_program=.*$/m, '_framefleet_program=/no/such/framefleet');
    expect(await bashOffers(['framefleet', 'sca'], gone)).toEqual([]);
  });
});

describe.skipIf(!hasZsh)('in zsh', () => {
  /** Types a line and Tab in an interactive zsh, and returns what its terminal shows. */
  async function zshShows(typed: string): Promise<string> {
    await writeFile(at('completion.zsh'), (await run('completion', 'zsh')).stdout);
    const session = [
      'zmodload zsh/zpty',
      'zpty z "TERM=dumb zsh -f -i"',
      // The pattern must not match the echo of the line itself.
      `zpty -w z 'PS1="> " LISTMAX=1000; autoload -Uz compinit; compinit -u -D; source ${at('completion.zsh')}; echo REA""DY'`,
      'zpty -r -m z out "*READY*"',
      'zpty -w -n z "$1"$\'\\t\\C-aprint -r -- \\C-e END\\n\'',
      'zpty -r -m z out "*END*END*"',
      'print -r -- $out',
    ].join('\n');
    const { stdout } = await runFile('zsh', ['-f', '-c', session, 'zsh', typed], {
      env: { PATH: process.env['PATH'], HOME: folder, FRAMEFLEET_LOCAL_FOLDER: at('fleet') },
    });
    return stdout;
  }

  test.each([
    ['a command', 'framefleet explai', 'framefleet explain'],
    ['an option', 'framefleet enqueue video.mp4 --pri', '--priority'],
    ['a choice', 'framefleet enqueue --priority=h', '--priority=high'],
    ['an action behind npx', 'npx framefleet poison red', 'poison redrive'],
  ])('completes %s', async (_, typed, shown) => {
    expect(await zshShows(typed)).toContain(shown);
  });
});

test('a shell that is not supported is refused, and help says how to install the script', async () => {
  const refused = await run('completion', 'fish');
  expect(refused.stderr).toContain('Allowed choices are bash, zsh.');
  expect(refused.status).toBe(64);
  expect((await run('completion', '--help')).stdout).toContain('framefleet completion bash >> ~/.bashrc');
});

/** On a busy machine, the ids may not be found in the time for which a key press may wait. */
const eventuallyOffered = (...words: readonly string[]) =>
  eventually('ids are offered', async () => {
    const offered = await bashOffers(['framefleet', ...words]);
    return offered.length > 0 && offered;
  });

describe('with a local fleet', () => {
  let fleet: RunningCommand;
  beforeAll(async () => {
    fleet = startStackCommand({ localFolder: at('fleet') });
    await fleet.said('The local fleet is running');
    const media = (await findReadyStack(at('fleet')))?.['FRAMEFLEET_MEDIA_STORAGE'] ?? '';
    const blobs = await openBlobStore({ media: storageAccount(media), system: null }, PATIENT);
    for (const jobId of JOBS) await blobs.put('incoming', triggerBlob(jobId), 'no request');
    // An upload that has not become a job.
    await blobs.put('incoming', `${UPLOAD}/source.mp4`, 'no video');
  });
  afterAll(async () => {
    fleet.child.kill('SIGTERM');
    await fleet.end;
  });

  test.each([
    ['status', ''],
    ['cancel', ''],
    ['poison', 'redrive', '--job', ''],
  ])('the ids of jobs are offered, the newest first: %s %s', async (...words) => {
    expect(await eventuallyOffered(...words)).toEqual(JOBS.toReversed());
  });

  test('an id is completed from its start', async () => {
    expect(await eventuallyOffered('fetch', '20261123')).toEqual([JOBS[1]]);
  });
});
