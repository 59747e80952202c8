/** A local fleet of a test's own, with commands that add models to it and run jobs on it. */
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { type BlobStore, openBlobStore } from '../../shared/azure/blob-store.ts';
import { PATIENT, storageAccount } from '../../shared/azure/credentials.ts';
import { type WorkQueue, openWorkQueue } from '../../shared/azure/work-queue.ts';
import { QUEUES } from '../../shared/contract/storage-layout.ts';
import { findStack } from '../../shared/runtime/rendezvous.ts';
import { enqueue, model, startStackCommand } from './commands.ts';
import { ffmpegOutput } from './media-clips.ts';
import { type OnnxPart, onnxModel } from './onnx-writer.ts';
import { testFolder } from './servers.ts';

interface CommandEnd {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ModelFleet extends AsyncDisposable {
  readonly folder: string;
  readonly localFolder: string;
  readonly blobs: BlobStore;
  readonly batches: WorkQueue;
  at(name: string): string;
  /** `npm run model -- add`, of a file or of a graph in opset 13. */
  add(name: string, file: string | readonly OnnxPart[], ...flags: string[]): Promise<CommandEnd>;
  /** `npm run enqueue`. */
  run(...args: string[]): Promise<CommandEnd>;
}

export async function startModelFleet(): Promise<ModelFleet> {
  const folder = await testFolder();
  const at = (name: string): string => path.join(folder, name);
  const localFolder = at('fleet');
  const fleet = startStackCommand({ localFolder });
  await fleet.said('The local fleet is running');
  const card = await findStack(localFolder);
  const [media = '', system = ''] = ['MEDIA', 'SYSTEM'].map(
    (name) => card?.environment[`FRAMEFLEET_${name}_STORAGE`],
  );
  const accounts = { media: storageAccount(media), system: storageAccount(system) };
  const blobs = await openBlobStore(accounts, PATIENT);
  return {
    folder,
    localFolder,
    blobs,
    batches: await openWorkQueue(accounts.system, QUEUES.frameBatches),
    at,
    async add(name, file, ...flags) {
      const graphFile = typeof file === 'string' ? file : at(`${name}.onnx`);
      if (typeof file !== 'string') await writeFile(graphFile, onnxModel({ opset: 13, graph: file }));
      return model(['add', graphFile, '--name', name, '--out', folder, ...flags], { localFolder }).end;
    },
    run: (...args) => enqueue(args, { localFolder }).end,
    async [Symbol.asyncDispose]() {
      fleet.child.kill('SIGINT');
      await fleet.end;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** All frames of a file, in RGB. */
export async function pixelsOf(file: string): Promise<Buffer> {
  return ffmpegOutput(['-i', file, '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-']);
}
