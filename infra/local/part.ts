/**
 * One program of the local stack: started with its output in a log file, watched, stopped.
 *
 * It has a process group of its own, so that Ctrl-C at the terminal reaches only the stack, which stops its parts in order;
 * and it is tied to the stack, so that it goes when the stack is killed.
 */
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

import { type ChildExit, spawnNode, spawnTied, stopChild, waitForExit } from '../../shared/runtime/child.ts';
import { type ErrorCode, PermanentError, TransientError } from '../../shared/runtime/errors.ts';
import type { ServiceAnnouncement } from '../../shared/runtime/service.ts';

export interface PartOptions {
  readonly name: string;
  /** A program on the PATH with its arguments, or a Node program of ours. */
  readonly program:
    | { readonly command: string; readonly args: readonly string[] }
    | { readonly script: string };
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly logPath: string;
  readonly stopGraceMs: number;
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
    this.#child.on('error', () => undefined); // Shows as an exit.
    closeSync(log);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Resolves with the HTTP port that a service of ours announces; rejects where it fails first. */
  async announced(): Promise<number> {
    const announcement = once(this.#child, 'message') as Promise<[ServiceAnnouncement]>;
    const [message] = await Promise.race([announcement, this.failure()]);
    if (message.type === 'ready') return message.port;
    throw this.#failed(message);
  }

  /** Rejects when the program ends without having been asked to. Never resolves. */
  async failure(): Promise<never> {
    const said = new Promise<ServiceAnnouncement>((resolve) => {
      this.#child.on('message', (message: ServiceAnnouncement) => {
        if (message.type === 'failed') resolve(message);
      });
    });
    const ended = waitForExit(this.#child);
    const first = await Promise.race([said, ended]);
    if (this.#isStopping) return new Promise<never>(() => undefined);
    if ('type' in first && first.type === 'failed') throw this.#failed(first);
    throw await this.#ended(await ended);
  }

  async stop({ graceMs = this.#options.stopGraceMs }: { readonly graceMs?: number } = {}): Promise<void> {
    this.#isStopping = true;
    await stopChild(this.#child, { graceMs });
  }

  /** The program's own words. */
  #failed({
    code,
    message,
    hint,
  }: {
    readonly code: ErrorCode;
    readonly message: string;
    readonly hint: string | undefined;
  }): Error {
    return new TransientError(code, message, hint === undefined ? {} : { hint });
  }

  async #ended({ status, signal }: ChildExit): Promise<Error> {
    const how = signal === null ? `with exit status ${status}` : `by ${signal}`;
    const tail = await this.logTail();
    const said = tail === '' ? '' : ` Its last words:\n${tail}`;
    return new PermanentError('STACK_FAILED', `The ${this.name} of the local fleet ended ${how}.${said}`, {
      hint: 'Run the command again; if it fails again, what it says above is the place to look.',
    });
  }

  async logTail(): Promise<string> {
    const log = await readFile(this.#options.logPath, 'utf8').catch(() => '');
    return log.trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
  }
}
