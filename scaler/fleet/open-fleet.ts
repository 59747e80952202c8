/** The machines that the configuration speaks of: scale sets on Azure, or processes of this machine. */
import { fileURLToPath } from 'node:url';

import { azureIdentity } from '../../shared/azure/credentials.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { ScalerConfig } from '../config.ts';
import { AzureScaleSets } from './azure-scale-sets.ts';
import type { Fleet } from './fleet.ts';
import { LocalProcesses } from './local-processes.ts';

const WORKER_PROGRAM = fileURLToPath(new URL('../../worker/main.ts', import.meta.url));

export interface OpenFleet {
  readonly fleet: Fleet;
  /** Machines on Azure outlive us; processes of this machine do not. */
  readonly close: () => Promise<void>;
}

export async function openFleet(
  {
    fleet: settings,
    workerEnvironment,
    inferenceThreads,
  }: Pick<ScalerConfig, 'fleet' | 'workerEnvironment' | 'inferenceThreads'>,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<OpenFleet> {
  if (settings.kind === 'azure') {
    const { subscriptionId, resourceGroup, scaleSets } = settings;
    const compute = { subscriptionId, resourceGroup, credential: await azureIdentity() };
    const fleet = new AzureScaleSets({ pools: scaleSets, compute, clock });
    return { fleet, close: () => Promise.resolve() };
  }
  const fleet = new LocalProcesses({
    programPath: WORKER_PROGRAM,
    environment: { ...workerEnvironment, FRAMEFLEET_INFERENCE_THREADS: String(inferenceThreads) },
    clock,
    log,
  });
  return { fleet, close: () => fleet.removeAll() };
}
