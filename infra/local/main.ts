/**
 * The local fleet as a program, in four modes:
 *
 * - `npm start` runs a shared fleet for all commands in this folder, until Ctrl-C;
 * - `--private` runs a fleet for one `enqueue`. Its folder is removed when it stops, unless the storage must be kept;
 * - `--kept FOLDER` runs only the storage that a private fleet kept, for `fetch`;
 * - `--models` runs only a storage with the models of this machine, for `model`.
 */
import { once } from 'node:events';
import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';

import { z } from 'zod';

import { newCommand, parseCommand } from '../../shared/command/parse-command.ts';
import { complain } from '../../shared/runtime/complain.ts';
import { type Log, createLog } from '../../shared/runtime/log.ts';
import { isProcessAlive } from '../../shared/runtime/process-alive.ts';
import { quoteCommands } from '../../shared/runtime/quote-commands.ts';
import { holdRendezvous } from '../../shared/runtime/rendezvous.ts';
import { type Service, runService } from '../../shared/runtime/service.ts';
import { tolerateLostOutput } from '../../shared/runtime/standard-streams.ts';
import { watchParent } from '../../shared/runtime/watch-parent.ts';
import { localConfig } from './config.ts';
import { moveStorage, startKeptStorage, startModelStorage } from './kept-storage.ts';
import { type Stack, removeFolder, startStack } from './stack.ts';

/** The parts stop one after the other, within their own grace periods: see `stack.ts`. */
const STOP_GRACE_MS = 40_000;
const PRIVATE_FOLDER = /^run-(\d+)$/;

const argv = process.argv.slice(2);
const isPrivate = argv[0] === '--private';
const hasModelsOnly = argv[0] === '--models';
/** The folder of `--kept`. */
const keptFolder = argv[0] === '--kept' ? argv[1] : undefined;
/** A command has started this program and reads its messages. */
const isChild = isPrivate || hasModelsOnly || keptFolder !== undefined;
const keepStorage = z.object({ type: z.literal('keep-storage'), folder: z.string() });
/** Where the storage of a private fleet is moved when it stops; undefined to remove it. */
let keepStorageIn: string | undefined;
tolerateLostOutput();

await runService(
  {
    createLog: () => createLog({ room: 'stack', level: localConfig().logLevel }),
    stopGraceMs: STOP_GRACE_MS,
    ...(isChild ? {} : { complain }),
  },
  async (service, log) => {
    if (!isChild && !parseStart()) {
      service.stop('help');
      return;
    }
    const config = localConfig();
    await mkdir(config.folder, { recursive: true });
    if (keptFolder !== undefined) {
      const storage = await startKeptStorage(keptFolder);
      superviseStack(service, storage);
      process.send?.({ type: 'stack', environment: storage.clientEnvironment });
      return;
    }
    await removeAbandoned(config.folder);
    const folder = path.join(config.folder, isChild ? `run-${process.pid}` : 'shared');
    if (hasModelsOnly) {
      service.onStop(() => removeFolder(folder));
      const storage = await startModelStorage(folder, config.modelFolders);
      superviseStack(service, storage);
      process.send?.({ type: 'stack', environment: storage.clientEnvironment });
      return;
    }
    const start = () =>
      startStack({
        folder,
        modelFolders: config.modelFolders,
        modelCacheFolder: path.join(config.folder, 'models'),
        compileCacheFolder: path.join(config.folder, 'compiled'),
        isPersistent: !isPrivate,
        hasPage: !isPrivate && config.hasPage,
        environment: config.environment,
        log,
        signal: service.signal,
      });

    if (isPrivate) {
      service.onStop(() =>
        keepStorageIn === undefined ? removeFolder(folder) : moveStorage(folder, keepStorageIn),
      );
      process.on('message', (message) => void handleKeepStorage(message, folder, log));
      const stack = await start();
      superviseStack(service, stack);
      process.send?.({ type: 'stack', environment: stack.clientEnvironment });
      return;
    }
    watchParent(config.environment, () => service.stop('npm gone'));
    let clientEnvironment: Stack['clientEnvironment'] = {};
    const rendezvous = await holdRendezvous(config.folder, () => ({
      pid: process.pid,
      environment: clientEnvironment,
    }));
    service.onStop(() => rendezvous.close());
    const stack = await start();
    superviseStack(service, stack);
    service.onStop(() => say('Stopping. Jobs that have not ended go on after the next `npm start`.'));
    clientEnvironment = stack.clientEnvironment;
    say(`The local fleet is running. Jobs and results are stored in ${folder}.`);
    if (stack.pageAddress !== null) say(`  ${stack.pageAddress}  the web page`);
    say(`  npm run enqueue VIDEO          run a job (in another shell, in this folder)`);
    say(`  npm run fetch -- JOB           download the result of a job started with --detach`);
    say(`  npm run explain                show why the fleet has its current size`);
    say(`  npm run poison -- list         list failed frames and messages with their reasons`);
    say(`  npm run share -- open NAME     create an upload address for a partner`);
    say(`  http://127.0.0.1:${stack.ports.producer}/metrics  producer metrics`);
    say(`  http://127.0.0.1:${stack.ports.scaler}/metrics  scaler metrics`);
    say('Press Ctrl-C to stop it.');
  },
);

/** Returns false if the user asked for help, which is then printed. Throws USAGE. */
function parseStart(): boolean {
  const command = newCommand('npm start')
    .usage('')
    .description('Runs a local fleet for all commands in this folder, until Ctrl-C.');
  return parseCommand(command, argv, 'Usage: npm start. It has no arguments.');
}

/** `enqueue` sends this request to its private fleet if the result of the job cannot be saved. Other messages are ignored. */
async function handleKeepStorage(message: unknown, stackFolder: string, log: Log): Promise<void> {
  const request = keepStorage.safeParse(message).data;
  if (request === undefined) return;
  try {
    // Frees disk space for the last writes of the storage emulator. The job has ended and no longer needs this folder.
    await removeFolder(path.join(stackFolder, 'work'));
    await mkdir(request.folder, { recursive: true });
    keepStorageIn = request.folder;
  } catch (error) {
    log.error({ error }, 'cannot keep storage');
  }
  process.send?.({ type: 'keeps-storage', canKeep: keepStorageIn !== undefined });
}

function superviseStack(service: Service, stack: Pick<Stack, 'failure' | 'stop'>): void {
  let isBroken = false;
  service.onStop(() => stack.stop({ isBroken, keepsStorage: keepStorageIn !== undefined }));
  service.run('parts', async () => {
    try {
      await Promise.race([stack.failure, once(service.signal, 'abort')]);
    } catch (error) {
      isBroken = true;
      throw error;
    }
  });
}

/** Removes the folders of private fleets that were killed. */
async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = PRIVATE_FOLDER.exec(name)?.[1];
    if (pid !== undefined && !isProcessAlive(Number(pid))) await removeFolder(path.join(folder, name));
  }
}

function say(line: string): void {
  process.stdout.write(`${quoteCommands(line)}\n`);
}
