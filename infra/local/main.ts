/**
 * The local fleet as a program. `npm start` keeps it up for whoever enqueues from this folder; `--private` is how `enqueue`
 * brings one up for itself alone, in a folder of its own that goes with it.
 */
import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';

import { complain } from '../../shared/runtime/complain.ts';
import { createLog } from '../../shared/runtime/log.ts';
import { isProcessAlive } from '../../shared/runtime/process-alive.ts';
import { holdRendezvous } from '../../shared/runtime/rendezvous.ts';
import { type Service, runService } from '../../shared/runtime/service.ts';
import { tolerateClosedOutput } from '../../shared/runtime/standard-streams.ts';
import { watchParent } from '../../shared/runtime/watch-parent.ts';
import { localConfig } from './config.ts';
import { type Stack, removeFolder, startStack } from './stack.ts';

/** All parts one after the other, each within its own grace. */
const STOP_GRACE_MS = 40_000;
const PRIVATE_FOLDER = /^run-(\d+)$/;

const isPrivate = process.argv.includes('--private');
tolerateClosedOutput();

await runService(
  {
    createLog: () => createLog({ room: 'stack', level: localConfig().logLevel }),
    stopGraceMs: STOP_GRACE_MS,
    ...(isPrivate ? {} : { complain }),
  },
  async (service, log) => {
    const config = localConfig();
    await mkdir(config.folder, { recursive: true });
    await removeAbandoned(config.folder);
    const folder = path.join(config.folder, isPrivate ? `run-${process.pid}` : 'shared');
    const start = () =>
      startStack({
        folder,
        modelFolders: config.modelFolders,
        modelCacheFolder: path.join(config.folder, 'models'),
        isPersistent: !isPrivate,
        environment: config.environment,
        log,
        signal: service.signal,
      });

    if (isPrivate) {
      service.onStop(() => removeFolder(folder));
      const stack = await start();
      keep(service, stack);
      process.send?.({ type: 'stack', environment: stack.clientEnvironment });
      return;
    }
    watchParent({ environment: config.environment, onGone: () => service.stop('npm gone') });
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
    say(`  npm run explain                why there are as many workers as there are`);
    say(`  npm run poison -- list         what could not be worked, and why`);
    say(`  npm run share -- open NAME     lets somebody send videos, and nothing else`);
    say(`  http://127.0.0.1:${stack.ports.producer}/metrics  producer`);
    say(`  http://127.0.0.1:${stack.ports.scaler}/metrics  scaler`);
    say('Ctrl-C takes it down.');
  },
);

function keep(service: Service, stack: Stack): void {
  let isBroken = false;
  service.onStop(() => stack.stop({ isBroken }));
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
