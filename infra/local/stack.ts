/**
 * The whole system on one machine: starts Redis and Azurite, then producer and scaler, and stops them in reverse order. The scaler
 * starts the workers. The programs are the same as on Azure; addresses and time-outs differ.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { openBlobStore } from '../../shared/azure/blob-store.ts';
import { PATIENT, storageAccount } from '../../shared/azure/credentials.ts';
import { publishModels } from '../../shared/azure/publish-models.ts';
import type { Environment } from '../../shared/runtime/environment.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { type LocalStorage, startAzurite } from './azurite.ts';
import { Part } from './part.ts';
import { startRedis } from './redis-server.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** The scaler waits until its workers have released their batches. */
const SERVICE_STOP_GRACE_MS = 14_000;
const SHORT_STOP_GRACE_MS = 1_500;
/** The storage emulator writes all its state when it stops, after waiting 5 s for idle connections. */
const KEPT_STORAGE_GRACE_MS = 20_000;

/** Time-outs are shorter on one machine than on Azure. */
const LOCAL_TIMEOUTS: Environment = {
  FRAMEFLEET_INTAKE_SCAN_SECONDS: '0.5',
  FRAMEFLEET_LEASE_SECONDS: '12',
  FRAMEFLEET_IDLE_POLL_SECONDS_MAX: '1',
  FRAMEFLEET_HEARTBEAT_SECONDS: '1',
  FRAMEFLEET_TICK_SECONDS: '0.5',
  FRAMEFLEET_LEADER_SECONDS: '3',
  FRAMEFLEET_DRAIN_TARGET_SECONDS: '5',
  FRAMEFLEET_IDLE_SECONDS: '20',
  FRAMEFLEET_RESEND_SECONDS: '60',
};

export interface StackOptions {
  /** The stack writes only to this folder and the two cache folders. */
  readonly folder: string;
  /** Each holds models, which the stack publishes when it starts. */
  readonly modelFolders: readonly string[];
  /** Models by sha256. Kept when the stack is removed. */
  readonly modelCacheFolder: string;
  /** Node's compile cache, which makes every program start a third faster. Kept when the stack is removed. */
  readonly compileCacheFolder: string;
  /** Whether jobs survive a restart of the stack. */
  readonly isPersistent: boolean;
  /** Whether the producer serves the web page. */
  readonly hasPage: boolean;
  /** Variables set here override the defaults of the stack. */
  readonly environment: Environment;
  readonly log: Log;
  /** Aborts the start. */
  readonly signal: AbortSignal;
}

export interface Stack {
  /** The variables that a command needs to reach the fleet. */
  readonly clientEnvironment: Readonly<Record<string, string>>;
  readonly ports: Readonly<Record<'producer' | 'scaler', number>>;
  /** The address of the web page, with its token; null without one. */
  readonly pageAddress: string | null;
  /** Rejects if a part ends unexpectedly. Never resolves. */
  readonly failure: Promise<never>;
  stop(options: StackStopOptions): Promise<void>;
}

interface StackStopOptions {
  /** Whether a part has failed. The others get little time to stop then, because they may wait for the failed part. */
  readonly isBroken: boolean;
  /** Whether the stored data is needed afterwards. The storage emulator gets the time to write it, and the other parts get little. */
  readonly keepsStorage: boolean;
}

/** Throws the error of the part that failed to start, or the signal's reason, after stopping everything. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { folder, environment, log, signal } = options;
  const parts: Part[] = [];
  let storagePart: Part | undefined;
  const stop = async ({ isBroken, keepsStorage }: StackStopOptions): Promise<void> => {
    for (const part of parts.splice(0).toReversed()) {
      if (keepsStorage && part === storagePart) await part.stop({ graceMs: KEPT_STORAGE_GRACE_MS });
      else await part.stop(isBroken || keepsStorage ? { graceMs: SHORT_STOP_GRACE_MS } : {});
      log.debug({ part: part.name }, 'part stopped');
    }
  };
  const up = (part: Part): void => {
    parts.push(part);
    log.info({ part: part.name, pid: part.pid }, 'part started');
  };
  try {
    const logFolder = path.join(folder, 'logs');
    await mkdir(logFolder, { recursive: true });
    const logPath = (name: string): string => path.join(logFolder, `${name}.log`);

    const [redis, storage] = await startServers(options, logPath, up);
    storagePart = storage.part;
    signal.throwIfAborted();
    await publishModelFolders(storage, options.modelFolders);
    signal.throwIfAborted();
    const serviceEnvironment = {
      ...LOCAL_TIMEOUTS,
      NODE_COMPILE_CACHE: options.compileCacheFolder,
      FRAMEFLEET_WORK_FOLDER: path.join(folder, 'work'),
      FRAMEFLEET_MODEL_CACHE: options.modelCacheFolder,
      ...environment,
      FRAMEFLEET_MEDIA_STORAGE: storage.media,
      FRAMEFLEET_SYSTEM_STORAGE: storage.system,
      FRAMEFLEET_REDIS_URL: redis.url,
      // 0: each service uses a free port.
      FRAMEFLEET_HTTP_PORT: '0',
      FRAMEFLEET_SCALER_TOKEN: undefined,
      FRAMEFLEET_SCALER_TOKEN_FILE: undefined,
      FRAMEFLEET_PAGE: 'off',
      FRAMEFLEET_SCALER_URL: undefined,
      FRAMEFLEET_PAGE_TOKEN: undefined,
    };
    const token = randomBytes(24).toString('hex');
    const pageToken = environment['FRAMEFLEET_PAGE_TOKEN'] ?? randomBytes(24).toString('hex');
    const startService = async (name: 'producer' | 'scaler', ownEnvironment: Environment) => {
      const part = new Part({
        name,
        program: { script: path.join(ROOT, name, 'main.ts') },
        env: { ...serviceEnvironment, ...ownEnvironment },
        cwd: ROOT,
        logPath: logPath(name),
        stopGraceMs: SERVICE_STOP_GRACE_MS,
      });
      up(part);
      return part.announcedPorts();
    };
    const startScaler = () =>
      startService('scaler', { FRAMEFLEET_FLEET: 'local', FRAMEFLEET_SCALER_TOKEN: token });
    const starting = options.hasPage
      ? startWithPage(startScaler, (scaler) =>
          startService('producer', {
            FRAMEFLEET_PAGE: 'token',
            FRAMEFLEET_PAGE_TOKEN: pageToken,
            FRAMEFLEET_SCALER_URL: urlOf(scaler.port),
            FRAMEFLEET_SCALER_TOKEN: token,
          }),
        )
      : Promise.all([startService('producer', {}), startScaler()]);
    const [producer, scaler] = await Promise.race([starting, abortion(signal)]);
    const failure = Promise.race(parts.map((part) => part.failure()));
    failure.catch(() => undefined); // The owner of the stack handles it.
    return {
      clientEnvironment: {
        FRAMEFLEET_MEDIA_STORAGE: storage.media,
        FRAMEFLEET_SCALER_URL: urlOf(scaler.port),
        FRAMEFLEET_SCALER_TOKEN: token,
        FRAMEFLEET_SYSTEM_STORAGE: storage.system,
      },
      ports: { producer: producer.port, scaler: scaler.port },
      pageAddress: producer.pagePort === undefined ? null : `${urlOf(producer.pagePort)}/#token=${pageToken}`,
      failure,
      stop,
    };
  } catch (error) {
    await stop({ isBroken: true, keepsStorage: false });
    throw error;
  }
}

function urlOf(port: number): string {
  return `http://127.0.0.1:${port}`;
}

/** One after the other, because the page needs the address of the scaler. */
async function startWithPage<T>(
  startScaler: () => Promise<T>,
  startProducer: (scaler: T) => Promise<T>,
): Promise<[producer: T, scaler: T]> {
  const scaler = await startScaler();
  return [await startProducer(scaler), scaler];
}

/** Rejects with the signal's reason. Never resolves. */
async function abortion(signal: AbortSignal): Promise<never> {
  await once(signal, 'abort');
  throw signal.reason;
}

async function startServers(
  { folder, isPersistent }: StackOptions,
  logPath: (name: string) => string,
  up: (part: Part) => void,
) {
  const starting = await Promise.allSettled([
    startRedis({ folder, logPath: logPath('redis'), isPersistent }),
    startAzurite({ folder, logPath: logPath('azurite'), isPersistent }),
  ]);
  for (const start of starting) if (start.status === 'fulfilled') up(start.value.part);
  const [redis, storage] = starting;
  if (redis.status === 'rejected') throw redis.reason;
  if (storage.status === 'rejected') throw storage.reason;
  return [redis.value, storage.value] as const;
}

/** Each folder holds models. Throws MODEL_INVALID. */
export async function publishModelFolders(
  storage: Pick<LocalStorage, 'media' | 'system'>,
  folders: readonly string[],
): Promise<void> {
  const accounts = { media: storageAccount(storage.media), system: storageAccount(storage.system) };
  const blobs = await openBlobStore(accounts, PATIENT);
  for (const folder of folders) await publishModels(blobs, folder);
}

/** Removes the folder of a stack. */
export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
}
