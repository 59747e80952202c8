/**
 * Where an estimate finds what the fleet has measured: in the fleet's storage, or in the local folder, where the last job of a private fleet
 * has left it.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { FLEET_RATES_BLOB } from '../../shared/contract/blob-names.ts';
import { type FleetRates, parseFleetRates } from '../../shared/contract/fleet-rates.ts';

const KEPT_FILE = 'fleet-rates.json';

/** Undefined if the fleet has published nothing yet. */
export async function readFleetRates(blobs: BlobStore): Promise<FleetRates | undefined> {
  return parseFleetRates(String(await blobs.get('control', FLEET_RATES_BLOB)));
}

/** Those of the last job on this machine; undefined if there was none. */
export async function readKeptRates(localFolder: string): Promise<FleetRates | undefined> {
  return parseFleetRates(await readFile(path.join(localFolder, KEPT_FILE), 'utf8').catch(() => ''));
}

/** Keeps what a fleet on this machine has measured, for an estimate while none runs. */
export async function keepRates(blobs: BlobStore, localFolder: string): Promise<void> {
  const rates = await readFleetRates(blobs);
  if (rates === undefined) return;
  await mkdir(localFolder, { recursive: true });
  await writeFile(path.join(localFolder, KEPT_FILE), JSON.stringify(rates, undefined, 2));
}

const NOTHING_MEASURED: Omit<FleetRates, 'idleSeconds' | 'machinesMax' | 'drainTargetSeconds'> = {
  version: 1,
  measuredAt: new Date(0).toISOString(),
  models: {},
  split: { cut: null, decode: null, images: null },
  join: null,
  bootSeconds: null,
  enginesPerMachine: 1,
  pools: [],
};

/** The defaults of `scaler/policy.ts`, for a fleet on Azure that has never run a job. */
export const UNMEASURED_FLEET: FleetRates = {
  ...NOTHING_MEASURED,
  idleSeconds: 300,
  machinesMax: 10,
  drainTargetSeconds: 300,
};

/** Those of `infra/local/stack.ts`, where no job has run yet. The boot is the start of a process. */
export const UNMEASURED_MACHINE: FleetRates = {
  ...NOTHING_MEASURED,
  bootSeconds: 2,
  idleSeconds: 20,
  machinesMax: 2,
  drainTargetSeconds: 5,
};
