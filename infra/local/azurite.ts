/** Runs Azurite, the Azure Storage emulator, on free ports, with the two storage accounts and new keys for each start. */
import { randomBytes } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';

import { createLayout } from '../../shared/azure/create-layout.ts';
import { storageAccount } from '../../shared/azure/credentials.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { TransientError } from '../../shared/runtime/errors.ts';
import { Part, type ServerOptions } from './part.ts';

/** Azurite stops only when its last idle connection closes, after 5 s. A private fleet discards its data and need not wait. */
const STOP_GRACE_MS = { persistent: 8_000, private: 0 };
const START_TIMEOUT_MS = 30_000;
const REST_MS = 50;
const LISTENING = /(Blob|Queue) service is successfully listening at http:\/\/127\.0\.0\.1:(\d+)/g;

export interface LocalStorage {
  readonly part: Part;
  /** Connection strings. */
  readonly media: string;
  readonly system: string;
}

export async function startAzurite({ folder, logPath, isPersistent }: ServerOptions): Promise<LocalStorage> {
  const dataFolder = path.join(folder, 'azurite');
  await mkdir(dataFolder, { recursive: true });
  const accounts = { media: newAccount('framefleetmedia'), system: newAccount('framefleetsystem') };
  const logStart = await sizeOf(logPath);
  const part = new Part({
    name: 'storage emulator (Azurite)',
    program: {
      command: process.execPath,
      args: [
        createRequire(import.meta.url).resolve('azurite/dist/src/azurite.js'),
        '--location',
        dataFolder,
        '--blobPort',
        '0',
        '--queuePort',
        '0',
        '--tablePort',
        '0',
        '--blobHost',
        '127.0.0.1',
        '--queueHost',
        '127.0.0.1',
        '--tableHost',
        '127.0.0.1',
        '--skipApiVersionCheck',
        '--disableTelemetry',
        '--silent',
      ],
    },
    env: {
      ...process.env,
      AZURITE_ACCOUNTS: Object.values(accounts)
        .map(({ name, key }) => `${name}:${key}`)
        .join(';'),
    },
    cwd: dataFolder,
    logPath,
    stopGraceMs: isPersistent ? STOP_GRACE_MS.persistent : STOP_GRACE_MS.private,
  });
  const ports = await Promise.race([listeningPorts(logPath, logStart), part.failure()]);
  const connectionString = ({ name, key }: Account): string =>
    [
      'DefaultEndpointsProtocol=http',
      `AccountName=${name}`,
      `AccountKey=${key}`,
      `BlobEndpoint=http://127.0.0.1:${ports.blob}/${name}`,
      `QueueEndpoint=http://127.0.0.1:${ports.queue}/${name}`,
    ].join(';');
  const storage = { media: connectionString(accounts.media), system: connectionString(accounts.system) };
  await createLayout({ media: storageAccount(storage.media), system: storageAccount(storage.system) });
  return { part, ...storage };
}

interface Account {
  readonly name: string;
  readonly key: string;
}

function newAccount(name: string): Account {
  return { name, key: randomBytes(48).toString('base64') };
}

/** Azurite chooses free ports and writes them to its log. */
async function listeningPorts(logPath: string, logStart: number): Promise<{ blob: string; queue: string }> {
  const deadlineMs = systemClock.monotonicMs() + START_TIMEOUT_MS;
  while (systemClock.monotonicMs() < deadlineMs) {
    const ports = new Map(
      [...(await readFrom(logPath, logStart)).matchAll(LISTENING)].map(([, service, port]) => [
        service,
        port,
      ]),
    );
    const [blob, queue] = [ports.get('Blob'), ports.get('Queue')];
    if (blob !== undefined && queue !== undefined) return { blob, queue };
    await systemClock.sleep(REST_MS);
  }
  throw new TransientError(
    'STACK_FAILED',
    `The storage emulator did not start within ${START_TIMEOUT_MS / 1000} s.`,
    {
      hint: 'The machine may be very busy. Try again.',
    },
  );
}

async function sizeOf(filePath: string): Promise<number> {
  await using file = await open(filePath, 'a');
  return (await file.stat()).size;
}

async function readFrom(filePath: string, start: number): Promise<string> {
  await using file = await open(filePath, 'r');
  const { size } = await file.stat();
  const { buffer } = await file.read({ buffer: Buffer.alloc(Math.max(0, size - start)), position: start });
  return buffer.toString('utf8');
}
