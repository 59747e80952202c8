/**
 * A local fleet in a folder of its own for each test, with a clip of six seconds as its job. After each test, all commands that the test
 * has started are killed, and no process of the fleet may be left.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';

import { type RunningCommand, enqueue, npmRun, startStackCommand } from './commands.ts';
import { eventually } from './eventually.ts';
import { H264, ffmpeg, picture } from './media-clips.ts';
import { findProcess, processesOf } from './processes.ts';
import { testFolder } from './servers.ts';

/** What `npm start` prints when it takes jobs. */
const FLEET_READY = 'The local fleet is running';
export const CLIP_FRAMES = 60;

export class LocalFleet {
  /** Of the whole test file: the clip, and results to keep. */
  folder = '';
  /** Of the current test: the fleet's. */
  localFolder = '';
  readonly #started: RunningCommand[] = [];

  /** Registers the hooks of a test file. */
  constructor() {
    beforeAll(async () => {
      this.folder = await testFolder();
      const shape = { size: '320x180', rate: '10', seconds: CLIP_FRAMES / 10 };
      await ffmpeg([...picture(shape), ...H264, this.at('clip.mp4')]);
    });
    afterAll(() => rm(this.folder, { recursive: true, force: true }));
    beforeEach(async () => {
      this.localFolder = path.join(await testFolder(), 'fleet');
    });
    afterEach(async () => {
      for (const { child } of this.#started.splice(0)) child.kill('SIGKILL');
      await this.nothingIsLeft();
      await rm(path.dirname(this.localFolder), { recursive: true, force: true });
    });
  }

  at(name: string): string {
    return path.join(this.folder, name);
  }

  /** `npm start`, once it takes jobs. */
  async start(): Promise<RunningCommand> {
    const fleet = this.startUnready();
    await fleet.said(FLEET_READY);
    return fleet;
  }
  /** `npm start`, at once. */
  startUnready(): RunningCommand {
    const environment = { FRAMEFLEET_IDLE_SECONDS: '2' };
    return this.#remember(startStackCommand({ localFolder: this.localFolder, environment }));
  }

  /** A job on the running fleet, or on a private one if none runs. */
  startJob(...args: string[]): RunningCommand {
    return this.#remember(enqueue([this.at('clip.mp4'), ...args], { localFolder: this.localFolder }));
  }
  startJobThroughNpm(): RunningCommand {
    return this.#remember(npmRun(['enqueue', '--', this.at('clip.mp4')], { localFolder: this.localFolder }));
  }

  /** Waits until an engine runs: the job is being scored. */
  async engineRuns(): Promise<void> {
    await eventually('an engine runs', () => findProcess(this.localFolder, 'worker/engine/main.ts'));
  }

  async nothingIsLeft(): Promise<void> {
    await eventually(
      'no process of the fleet is left',
      async () => (await processesOf(this.localFolder)).length === 0,
    );
  }

  #remember(command: RunningCommand): RunningCommand {
    this.#started.push(command);
    return command;
  }
}
