/** A local fleet with its web page, the painter and the hostile model, with clips for jobs. Disposing of it stops everything. */
import { rm } from 'node:fs/promises';
import path from 'node:path';

import { type BlobStore, openBlobStore } from '../../shared/azure/blob-store.ts';
import { PATIENT, storageAccount } from '../../shared/azure/credentials.ts';
import { findStack } from '../../shared/runtime/rendezvous.ts';
import { enqueue, startStackCommand } from './commands.ts';
import { HOSTILE_FRAMES, writeHostileModel } from './hostile-model.ts';
import { plainClip } from './media-clips.ts';
import { testFolder } from './servers.ts';

type HostileFrame = keyof typeof HOSTILE_FRAMES;

export interface PageFleet extends AsyncDisposable {
  /** With the token. */
  readonly address: string;
  readonly localFolder: string;
  readonly blobs: BlobStore;
  at(name: string): string;
  stop(): Promise<void>;
  /** Makes a clip of 128×72 pixels, with so many frames of each kind one after the other. */
  makeClip(name: string, frames: readonly (readonly [HostileFrame, number])[]): Promise<string>;
  /** Returns the id of the job. */
  submit(file: string, ...flags: string[]): Promise<string>;
}

/** `more` are further variables of the fleet. */
export async function startPageFleet(more: Readonly<Record<string, string>> = {}): Promise<PageFleet> {
  const folder = await testFolder();
  const at = (name: string): string => path.join(folder, name);
  const localFolder = at('fleet');
  await writeHostileModel(at('models'));
  const fleet = startStackCommand({
    localFolder,
    environment: {
      FRAMEFLEET_LOCAL_MODELS: at('models'),
      FRAMEFLEET_PRICES: 'local=0.10',
      FRAMEFLEET_IDLE_SECONDS: '2',
      ...more,
    },
  });
  await fleet.said('Press Ctrl-C to stop it');
  const stop = async (): Promise<void> => {
    fleet.child.kill('SIGINT');
    await fleet.end;
  };
  const environment = (await findStack(localFolder))?.environment ?? {};
  const account = (name: string) => storageAccount(environment[`FRAMEFLEET_${name}_STORAGE`] ?? '');
  const accounts = { media: account('MEDIA'), system: account('SYSTEM') };
  return {
    address: /http:\S+#token=\S+/.exec(fleet.heard())?.[0] ?? '',
    localFolder,
    blobs: await openBlobStore(accounts, PATIENT),
    at,
    async makeClip(name, frames) {
      await plainClip(
        at(name),
        frames.map(([kind, count]) => [HOSTILE_FRAMES[kind], count]),
      );
      return at(name);
    },
    async submit(file, ...flags) {
      const { stdout } = await enqueue([file, ...flags, '--detach', '--json'], { localFolder }).end;
      return (JSON.parse(stdout) as { jobId: string }).jobId;
    },
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
