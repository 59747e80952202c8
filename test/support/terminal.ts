/** Runs a command in a pseudo-terminal: input, including Ctrl-C, goes through the terminal. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import type { CommandOptions } from './commands.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const CTRL_C = '\u0003';

export interface TerminalSession {
  /** The output of the terminal so far, including control sequences. */
  shown(): string;
  /** Resolves when the terminal has shown this; rejects if the command ends without it. */
  shows(part: string | RegExp): Promise<void>;
  type(line: string): void;
  pressCtrlC(): void;
  /** The exit status, or 128 plus the number of the signal that ended the command. */
  readonly end: Promise<number | null>;
  kill(): void;
}

/** `script` (util-linux) creates the terminal. Its shell replaces itself with `command`, or Ctrl-C would also reach the shell. */
export function inTerminal(
  command: string,
  { localFolder, environment = {} }: CommandOptions,
): TerminalSession {
  const child = spawn(
    'script',
    ['--quiet', '--return', '--flush', '--command', `exec ${command}`, '/dev/null'],
    {
      cwd: ROOT,
      stdio: ['pipe', 'pipe', 'inherit'],
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
        TERM: 'xterm',
        SHELL: '/bin/sh',
        FRAMEFLEET_LOCAL_FOLDER: localFolder,
        ...environment,
      },
    },
  );
  let shown = '';
  child.stdout.on('data', (chunk: Buffer) => (shown += chunk.toString()));
  const end = once(child, 'close').then(([status]) => status as number | null);
  const shows = (part: string | RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (typeof part === 'string' ? shown.includes(part) : part.test(shown)) resolve();
      };
      look();
      child.stdout.on('data', look);
      child.once('close', () => reject(new Error(`the command ended without showing ${part}: ${shown}`)));
    });
  return {
    shown: () => shown,
    shows,
    type: (line) => child.stdin.write(`${line}\n`),
    pressCtrlC: () => child.stdin.write(CTRL_C),
    end,
    kill: () => child.kill('SIGKILL'),
  };
}
