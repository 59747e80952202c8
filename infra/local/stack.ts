/**
 * The whole system on one machine: Redis, Azurite, producer and scaler, brought up in that order and taken down in reverse.
 * The scaler starts the workers. The programs are the ones that run on Azure; only the addresses differ.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { openBlobStore } from '../../shared/azure/blob-store.ts';
import { PATIENT, storageAccount } from '../../shared/azure/credentials.ts';
import type { Environment } from '../../shared/runtime/environment.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { startAzurite } from './azurite.ts';
import { Part } from './part.ts';
import { publishModels } from './publish-models.ts';
import { startRedis } from './redis-server.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** A scaler waits for its workers to release what they hold. */
const SERVICE_STOP_GRACE_MS = 14_000;
const BROKEN_STOP_GRACE_MS = 1_500;
/** Until the storage emulator has written everything; it waits 5 s for idle connections. */
const KEPT_STORAGE_GRACE_MS = 20_000;

/** On one machine everything is near: what is minutes on Azure is seconds here. */
const NEAR: Environment = {
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
  /** Everything the stack writes is in here. */
  readonly folder: string;
  /** What is published in them when the stack starts. */
  readonly modelFolders: readonly string[];
  /** Kept across stacks: models by their sha256. */
  readonly modelCacheFolder: string;
  /** Kept across stacks: what Node has compiled, which makes every program of a stack start a third faster. */
  readonly compileCacheFolder: string;
  /** Whether a job is to survive a restart of the stack. */
  readonly isPersistent: boolean;
  /** Variables that are already set win over ours. */
  readonly environment: Environment;
  readonly log: Log;
  /** Aborted when the stack is to stop, also while it is starting. */
  readonly signal: AbortSignal;
}

export interface Stack {
  /** What a client needs to reach it. */
  readonly clientEnvironment: Readonly<Record<string, string>>;
  readonly ports: Readonly<Record<'producer' | 'scaler', number>>;
  /** Rejects when a part ends by itself. Never resolves. */
  readonly failure: Promise<never>;
  stop(how: StackStop): Promise<void>;
}

interface StackStop {
  /** A stack that is broken is taken down at once: what waits for the broken part would wait in vain. */
  readonly isBroken: boolean;
  /** Whether what is in its storage is needed after that. */
  readonly keepsStorage: boolean;
}

/** Throws what the part that could not start said, or the signal's reason; nothing is left running then. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { folder, environment, log, signal } = options;
  const parts: Part[] = [];
  let storagePart: Part | undefined;
  const stop = async ({ isBroken, keepsStorage }: StackStop): Promise<void> => {
    for (const part of parts.splice(0).toReversed()) {
      if (keepsStorage && part === storagePart) await part.stop({ graceMs: KEPT_STORAGE_GRACE_MS });
      else await part.stop(isBroken ? { graceMs: BROKEN_STOP_GRACE_MS } : {});
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
    const accounts = { media: storageAccount(storage.media), system: storageAccount(storage.system) };
    const blobs = await openBlobStore(accounts, PATIENT);
    for (const modelFolder of options.modelFolders) await publishModels({ blobs, folder: modelFolder });
    signal.throwIfAborted();
    const serviceEnvironment = {
      ...NEAR,
      NODE_COMPILE_CACHE: options.compileCacheFolder,
      FRAMEFLEET_WORK_FOLDER: path.join(folder, 'work'),
      FRAMEFLEET_MODEL_CACHE: options.modelCacheFolder,
      ...environment,
      FRAMEFLEET_MEDIA_STORAGE: storage.media,
      FRAMEFLEET_SYSTEM_STORAGE: storage.system,
      FRAMEFLEET_REDIS_URL: redis.url,
      // Each takes a free port of its own.
      FRAMEFLEET_HTTP_PORT: '0',
      FRAMEFLEET_SCALER_TOKEN: undefined,
      FRAMEFLEET_SCALER_TOKEN_FILE: undefined,
    };
    const token = randomBytes(24).toString('hex');
    const scalerOnly = { FRAMEFLEET_FLEET: 'local', FRAMEFLEET_SCALER_TOKEN: token };
    const startService = async (name: 'producer' | 'scaler'): Promise<number> => {
      const part = new Part({
        name,
        program: { script: path.join(ROOT, name, 'main.ts') },
        env: { ...serviceEnvironment, ...(name === 'scaler' ? scalerOnly : {}) },
        cwd: ROOT,
        logPath: logPath(name),
        stopGraceMs: SERVICE_STOP_GRACE_MS,
      });
      up(part);
      return part.announced();
    };
    const [producer, scaler] = await Promise.race([
      Promise.all([startService('producer'), startService('scaler')]),
      abortion(signal),
    ]);
    const failure = Promise.race(parts.map((part) => part.failure()));
    failure.catch(() => undefined); // Looked at by the owner of the stack.
    return {
      clientEnvironment: {
        FRAMEFLEET_MEDIA_STORAGE: storage.media,
        FRAMEFLEET_SCALER_URL: `http://127.0.0.1:${scaler}`,
        FRAMEFLEET_SCALER_TOKEN: token,
        FRAMEFLEET_SYSTEM_STORAGE: storage.system,
      },
      ports: { producer, scaler },
      failure,
      stop,
    };
  } catch (error) {
    await stop({ isBroken: true, keepsStorage: false });
    throw error;
  }
}

/** Rejects with the signal's reason. Never resolves. */
async function abortion(signal: AbortSignal): Promise<never> {
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
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

/** Removes what a stack has written. */
export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
}
