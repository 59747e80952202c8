/** A local fleet of a test's own, with commands that add models to it and run jobs on it. */
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { type BlobStore, openBlobStore } from '../../shared/azure/blob-store.ts';
import { PATIENT, storageAccount } from '../../shared/azure/credentials.ts';
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
  const media = storageAccount(card?.environment['FRAMEFLEET_MEDIA_STORAGE'] ?? '');
  const blobs = await openBlobStore({ media, system: null }, PATIENT);
  return {
    folder,
    localFolder,
    blobs,
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
