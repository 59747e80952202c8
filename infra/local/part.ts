/**
 * One program of the local fleet: starts it with its output in a log file, watches it and stops it.
 *
 * The program has its own process group, so Ctrl-C on the terminal reaches only the stack, which then stops its parts in
 * order. The kernel ends the program if the stack is killed.
 */
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

import { type ChildExit, waitForExit, spawnNode, spawnTied, stopChild } from '../../shared/runtime/child.ts';
import { PermanentError, TransientError } from '../../shared/runtime/errors.ts';
import type { ServiceAnnouncement } from '../../shared/runtime/service.ts';

export interface PartOptions {
  readonly name: string;
  /** A program on the PATH with its arguments, or a script of this project that Node runs. */
  readonly program:
    | { readonly command: string; readonly args: readonly string[] }
    | { readonly script: string };
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly logPath: string;
  readonly stopGraceMs: number;
}

/** Where a server of the local fleet keeps its data and log. */
export interface ServerOptions {
  readonly folder: string;
  readonly logPath: string;
  /** Whether its data survives a restart. */
  readonly isPersistent: boolean;
}

const LOG_TAIL_LINES = 5;

export class Part {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #options: PartOptions;
  #isStopping = false;

  constructor(options: PartOptions) {
    this.name = options.name;
    this.#options = options;
    const log = openSync(options.logPath, 'a');
    const { program, env, cwd } = options;
    const spawning: SpawnOptions & { readonly env: NodeJS.ProcessEnv } = {
      stdio: ['ignore', log, log, 'ipc'],
      detached: true,
      env,
      cwd,
    };
    this.#child =
      'script' in program
        ? spawnNode(program.script, [], spawning)
        : spawnTied(program.command, program.args, spawning);
    this.#child.on('error', () => undefined); // The exit reports it.
    closeSync(log);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Resolves with the ports that the service announces; rejects if the service fails first. */
  async announcedPorts(): Promise<
    Pick<Extract<ServiceAnnouncement, { type: 'ready' }>, 'port' | 'pagePort'>
  > {
    const announcement = once(this.#child, 'message') as Promise<[ServiceAnnouncement]>;
    const [message] = await Promise.race([announcement, this.failure()]);
    if (message.type === 'ready') return message;
    throw failureOf(message);
  }

  /** Rejects if the program ends before `stop` is called. Never resolves. */
  async failure(): Promise<never> {
    const failed = new Promise<ServiceAnnouncement>((resolve) => {
      this.#child.on('message', (message: ServiceAnnouncement) => {
        if (message.type === 'failed') resolve(message);
      });
    });
    const ended = waitForExit(this.#child);
    const first = await Promise.race([failed, ended]);
    if (this.#isStopping) return new Promise<never>(() => undefined);
    if ('type' in first && first.type === 'failed') throw failureOf(first);
    throw await this.#exitError(await ended);
  }

  async stop({ graceMs = this.#options.stopGraceMs }: { readonly graceMs?: number } = {}): Promise<void> {
    this.#isStopping = true;
    await stopChild(this.#child, { graceMs });
  }

  async #exitError({ status, signal }: ChildExit): Promise<Error> {
    const how = signal === null ? `exited with status ${status}` : `was terminated by ${signal}`;
    const tail = await this.logTail();
    const lastLines = tail === '' ? '' : ` The last lines of its log:\n${tail}`;
    return new PermanentError('STACK_FAILED', `The ${this.name} of the local fleet ${how}.${lastLines}`, {
      hint: 'Run the command again. If it fails again, check the output above.',
    });
  }

  async logTail(): Promise<string> {
    const log = await readFile(this.#options.logPath, 'utf8').catch(() => '');
    return log.trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
  }
}

/** The error that the program itself reported. */
function failureOf({ code, message, hint }: Extract<ServiceAnnouncement, { type: 'failed' }>): Error {
  return new TransientError(code, message, hint === undefined ? {} : { hint });
}
