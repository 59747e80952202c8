/**
 * Ctrl-C in a terminal, through `npm run`, in each phase of a job. The terminal sends it to npm and to the command, and npm forwards
 * its own, so it arrives twice. It counts once: everything is taken down in order, and the terminal has its cursor again.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { eventually } from '../support/eventually.ts';
import { inForm } from '../support/fault-form.ts';
import { H264, ffmpeg, picture } from '../support/media-clips.ts';
import { processesOf } from '../support/processes.ts';
import { testFolder } from '../support/servers.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const CTRL_C = '\u0003';
const [HIDE_CURSOR, SHOW_CURSOR] = ['\u001b[?25l', '\u001b[?25h'];
const INTERRUPTED = 130;

let folder = '';
const at = (name: string): string => path.join(folder, name);

beforeAll(async () => {
  folder = await testFolder();
  await ffmpeg([...picture({ size: '160x90', rate: '25', seconds: 20 }), ...H264, at('clip.mp4')]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Terminal {
  readonly child: ChildProcess;
  seen(): string;
  /** Presses Ctrl-C. */
  press(): void;
  /** Resolves once the screen shows this. */
  shows(text: RegExp): Promise<unknown>;
  /** The exit status of what ran in it. */
  ended(): Promise<number | null>;
}

/** A pseudo-terminal (util-linux's `script`) in which this is typed. */
function terminal(commandLine: string): Terminal {
  const child = spawn('script', ['--quiet', '--return', '--command', commandLine, '/dev/null'], {
    cwd: ROOT,
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      TERM: 'xterm',
      FRAMEFLEET_LOCAL_FOLDER: at('fleet'),
    },
  });
  let screen = '';
  child.stdout.on('data', (chunk: Buffer) => (screen += chunk.toString()));
  return {
    child,
    seen: () => screen,
    press: () => child.stdin.write(CTRL_C),
    shows: (text) =>
      eventually(`the terminal shows ${String(text)}`, () => Promise.resolve(text.test(screen)), {
        boundMs: 120_000,
      }),
    ended: async () => {
      if (child.exitCode === null) await once(child, 'exit');
      return child.exitCode;
    },
  };
}

async function everythingIsGone(): Promise<void> {
  await eventually('every process is gone', async () => (await processesOf(at('fleet'))).length === 0, {
    boundMs: 60_000,
  });
  const left = await readdir(at('fleet')).catch(() => []);
  expect(left.filter((name) => name.startsWith('run-'))).toEqual([]);
}

function lastCursor(screen: string): 'hidden' | 'shown' {
  return screen.lastIndexOf(HIDE_CURSOR) > screen.lastIndexOf(SHOW_CURSOR) ? 'hidden' : 'shown';
}

const PHASES = {
  'the fleet starts': /Starting the fleet on this machine/,
  'the video is uploaded': /Uploading clip\.mp4/,
  'the video is split': /splitting/,
  'frames are scored': /scoring/,
} as const;
type Phase = keyof typeof PHASES;
const TRIED: readonly Phase[] = inForm({
  short: ['frames are scored'],
  long: Object.keys(PHASES) as Phase[],
});

describe('Ctrl-C through npm run enqueue takes everything down in order', () => {
  test.for(TRIED)('while %s', { retry: 0, repeats: inForm({ short: 0, long: 3 }) }, async (phase) => {
    const shell = terminal(
      `npm run --silent enqueue ${at('clip.mp4')} -- --no-doctor --out ${at('result.mp4')}`,
    );
    await shell.shows(PHASES[phase]);
    shell.press();
    expect(await shell.ended()).toBe(INTERRUPTED);
    expect(shell.seen()).toContain('Interrupted.');
    expect(shell.seen()).not.toMatch(/\n\s+at /);
    expect(lastCursor(shell.seen())).toBe('shown');
    await everythingIsGone();
  });
});

test.runIf(inForm({ short: false, long: true }))(
  'a second Ctrl-C ends the command at once, and its fleet goes by itself',
  async () => {
    const shell = terminal(
      `npm run --silent enqueue ${at('clip.mp4')} -- --no-doctor --out ${at('result.mp4')}`,
    );
    await shell.shows(PHASES['frames are scored']);
    shell.press();
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    shell.press();
    await shell.ended();
    expect(lastCursor(shell.seen())).toBe('shown');
    await everythingIsGone();
  },
);

test('Ctrl-C through npm start takes the local fleet down in order', async () => {
  const shell = terminal('npm start --silent');
  await shell.shows(/Ctrl-C takes it down/);
  shell.press();
  await shell.ended();
  expect(shell.seen()).not.toMatch(/\n\s+at /);
  await everythingIsGone();
});
