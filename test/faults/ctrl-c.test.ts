/** Ctrl-C in a terminal, through `npm run`, in each phase of a job. npm forwards the signal, so it arrives twice. */
import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { systemClock } from '../../shared/runtime/clock.ts';
import { SAME_PRESS_MS } from '../../shared/runtime/stop-signals.ts';
import { eventually } from '../support/eventually.ts';
import { inForm } from '../support/fault-form.ts';
import { H264, ffmpeg, picture } from '../support/media-clips.ts';
import { findProcess, processesOf } from '../support/processes.ts';
import { testFolder } from '../support/servers.ts';
import { type TerminalSession, inTerminal } from '../support/terminal.ts';

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
/** Writes the result and then hangs, so that the phase lasts until the interrupt. */
const SLOW_FFMPEG = `#!/bin/sh
case "$*" in *result.*) ffmpeg=$(PATH="\${PATH#*SLOW:}" command -v ffmpeg); "$ffmpeg" "$@"; exec sleep 600;; esac
PATH="\${PATH#*SLOW:}" exec ffmpeg "$@"
`;

let folder = '';
let localFolder = '';
let session: TerminalSession | undefined;
const at = (name: string): string => path.join(folder, name);

beforeAll(async () => {
  folder = await testFolder();
  await ffmpeg([...picture({ size: '64x48', rate: '10', seconds: 1 }), ...H264, at('short.mp4')]);
  await ffmpeg([...picture({ size: '320x180', rate: '10', seconds: 3 }), ...H264, at('long.mp4')]);
  await mkdir(at('SLOW'));
  await writeFile(at('SLOW/ffmpeg'), SLOW_FFMPEG);
  await chmod(at('SLOW/ffmpeg'), 0o755);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

beforeEach(async () => {
  localFolder = path.join(await testFolder(), 'fleet');
});
afterEach(async () => {
  session?.kill();
  await rm(path.dirname(localFolder), { recursive: true, force: true });
});

function startInTerminal(
  command: string,
  environment: Readonly<Record<string, string>> = {},
): TerminalSession {
  session = inTerminal(command, { localFolder, environment });
  return session;
}
/** Starts a job that is never joined. */
const startJob = (clip: string): TerminalSession =>
  startInTerminal(`npm run enqueue -- --no-doctor '${at(clip)}'`, {
    PATH: `${at('SLOW')}:${process.env['PATH']}`,
  });

async function nothingIsLeft(): Promise<void> {
  expect(await processesOf(localFolder)).toEqual([]);
  const names = await readdir(localFolder).catch(() => []);
  expect(names.filter((name) => name.startsWith('run-'))).toEqual([]);
}

/** No stack trace was printed, and the cursor is visible. */
function expectTidyTerminal(terminal: TerminalSession): void {
  const shown = terminal.shown();
  expect(shown).not.toMatch(/\n\s+at /);
  expect(shown.lastIndexOf(SHOW_CURSOR)).toBeGreaterThanOrEqual(shown.lastIndexOf(HIDE_CURSOR));
}

/** The phase, what the terminal shows when it begins, and the clip. */
const PHASES = [
  ['the fleet starts', 'Starting the fleet', 'short.mp4'],
  ['the video is uploaded', 'Uploading short.mp4', 'short.mp4'],
  ['the video is split', 'Press Ctrl-C to stop the job', 'short.mp4'],
  ['frames are scored', 'scoring', 'long.mp4'],
  ['the result is joined', 'joining', 'short.mp4'],
] as const;
/** Each try starts a fleet: the short form has only the phases that differ most. */
const PHASES_TRIED = inForm<readonly (typeof PHASES)[number][]>({
  short: PHASES.filter(([phase]) => phase !== 'the video is uploaded' && phase !== 'the video is split'),
  long: PHASES,
});
/** How often each test runs. */
const TRIES = inForm({ short: 1, long: 3 });

describe.each(Array.from({ length: TRIES }, (_, index) => index + 1))('try %s', () => {
  test.each(PHASES_TRIED)(
    'one Ctrl-C while %s stops the job and its fleet in order',
    async (_phase, event, clip) => {
      const terminal = startJob(clip);
      await terminal.shows(event);
      terminal.pressCtrlC();
      expect(await terminal.end).toBe(130);
      expect(terminal.shown()).toContain('\nInterrupted.');
      expect(terminal.shown()).not.toContain('Stopped at once.');
      expectTidyTerminal(terminal);
      await nothingIsLeft();
    },
  );

  test('a second Ctrl-C ends the command at once, and the fleet removes itself', async () => {
    const terminal = startJob('short.mp4');
    await terminal.shows('scoring');
    const fleet = await findProcess(localFolder, 'infra/local/main.ts');
    if (fleet === undefined) throw new Error('expected the local fleet');
    // A suspended fleet cannot stop, so the command waits for it.
    process.kill(fleet.pid, 'SIGSTOP');
    terminal.pressCtrlC();
    await terminal.shows('Stopping.');
    await systemClock.sleep(SAME_PRESS_MS + 100);
    terminal.pressCtrlC();
    expect(await terminal.end).toBe(130);
    expect(terminal.shown()).toContain('Stopped at once.');
    expectTidyTerminal(terminal);
    process.kill(fleet.pid, 'SIGCONT');
    await eventually('all processes have ended', async () => (await processesOf(localFolder)).length === 0);
    await nothingIsLeft();
  });

  test('one Ctrl-C stops the fleet of npm start in order', async () => {
    const terminal = startInTerminal('npm start');
    await terminal.shows('Press Ctrl-C to stop it.');
    terminal.pressCtrlC();
    expect(await terminal.end).toBe(0);
    expectTidyTerminal(terminal);
    await nothingIsLeft();
  });
});
