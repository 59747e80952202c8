/**
 * The local fleet as a program. `npm start` keeps it up for every command of this folder. `enqueue` starts it with `--private` for
 * itself alone, in a folder that is removed with it, unless its storage must be kept; `fetch` serves what was kept with
 * `--kept FOLDER`.
 */
import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';

import { z } from 'zod';

import { complain } from '../../shared/runtime/complain.ts';
import { type Log, createLog } from '../../shared/runtime/log.ts';
import { isProcessAlive } from '../../shared/runtime/process-alive.ts';
import { holdRendezvous } from '../../shared/runtime/rendezvous.ts';
import { type Service, runService } from '../../shared/runtime/service.ts';
import { tolerateLostOutput } from '../../shared/runtime/standard-streams.ts';
import { watchParent } from '../../shared/runtime/watch-parent.ts';
import { localConfig } from './config.ts';
import { moveStorage, startKeptStorage } from './kept-storage.ts';
import { type Stack, removeFolder, startStack } from './stack.ts';

/** All parts one after the other, each within its own grace. */
const STOP_GRACE_MS = 40_000;
const PRIVATE_FOLDER = /^run-(\d+)$/;

const [mode, keptFolder] = process.argv.slice(2);
const isPrivate = mode === '--private';
const keepStorage = z.object({ type: z.literal('keep-storage'), folder: z.string() });
/** Where a private stack's storage is moved when it stops; undefined where everything is removed. */
let keepStorageIn: string | undefined;
tolerateLostOutput();

await runService(
  {
    createLog: () => createLog({ room: 'stack', level: localConfig().logLevel }),
    stopGraceMs: STOP_GRACE_MS,
    ...(mode === undefined ? { complain } : {}),
  },
  async (service, log) => {
    const config = localConfig();
    await mkdir(config.folder, { recursive: true });
    if (mode === '--kept' && keptFolder !== undefined) {
      const storage = await startKeptStorage(keptFolder);
      keep(service, storage);
      process.send?.({ type: 'stack', environment: storage.clientEnvironment });
      return;
    }
    await removeAbandoned(config.folder);
    const folder = path.join(config.folder, isPrivate ? `run-${process.pid}` : 'shared');
    const start = () =>
      startStack({
        folder,
        modelFolders: config.modelFolders,
        modelCacheFolder: path.join(config.folder, 'models'),
        compileCacheFolder: path.join(config.folder, 'compiled'),
        isPersistent: !isPrivate,
        environment: config.environment,
        log,
        signal: service.signal,
      });

    if (isPrivate) {
      service.onStop(() =>
        keepStorageIn === undefined ? removeFolder(folder) : moveStorage(folder, keepStorageIn),
      );
      process.on('message', (message) => void obey(message, folder, log));
      const stack = await start();
      keep(service, stack);
      process.send?.({ type: 'stack', environment: stack.clientEnvironment });
      return;
    }
    watchParent(config.environment, () => service.stop('npm gone'));
    let clientEnvironment: Stack['clientEnvironment'] = {};
    const door = await holdRendezvous(config.folder, () => ({
      pid: process.pid,
      environment: clientEnvironment,
    }));
    service.onStop(() => door.close());
    const stack = await start();
    keep(service, stack);
    clientEnvironment = stack.clientEnvironment;
    say(`The local fleet is up: jobs and results stay in ${folder}`);
    say(`  npm run enqueue VIDEO          in another shell of this folder`);
    say(`  npm run fetch -- JOB           the result of a job sent with --detach`);
    say(`  npm run explain                why the fleet has the size it has`);
    say(`  npm run poison -- list         failed frames and messages, with the reasons`);
    say(`  npm run share -- open NAME     a place where a partner can send videos`);
    say(`  http://127.0.0.1:${stack.ports.producer}/metrics  producer`);
    say(`  http://127.0.0.1:${stack.ports.scaler}/metrics  scaler`);
    say('Ctrl-C takes it down.');
  },
);

/** What `enqueue` asks of its private stack when its job has ended. */
async function obey(message: unknown, stackFolder: string, log: Log): Promise<void> {
  const asked = keepStorage.safeParse(message).data;
  if (asked === undefined) return;
  try {
    // Room for what storage still has to write: nothing works on the job any more.
    await removeFolder(path.join(stackFolder, 'work'));
    await mkdir(asked.folder, { recursive: true });
    keepStorageIn = asked.folder;
  } catch (error) {
    log.error({ error }, 'storage cannot be kept');
  }
  process.send?.({ type: 'keeps-storage', canKeep: keepStorageIn !== undefined });
}

function keep(service: Service, stack: Pick<Stack, 'failure' | 'stop'>): void {
  let isBroken = false;
  service.onStop(() => stack.stop({ isBroken, keepsStorage: keepStorageIn !== undefined }));
  service.run('parts', async () => {
    const stopped = new Promise<void>((resolve) =>
      service.signal.addEventListener('abort', () => resolve(), { once: true }),
    );
    try {
      await Promise.race([stack.failure, stopped]);
    } catch (error) {
      isBroken = true;
      throw error;
    }
  });
}

/** Removes what private stacks that were killed have left behind. */
async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = PRIVATE_FOLDER.exec(name)?.[1];
    if (pid !== undefined && !isProcessAlive(Number(pid))) await removeFolder(path.join(folder, name));
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
