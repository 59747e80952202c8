/** Opens the configured fleet: scale sets on Azure, or worker processes on this machine. */
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
  /** Ends local processes. Instances on Azure keep running. */
  readonly close: () => Promise<void>;
}

export async function openFleet(
  config: Pick<ScalerConfig, 'fleet' | 'workerEnvironment' | 'inferenceThreads'>,
  clock: Clock,
  log: Log,
): Promise<OpenFleet> {
  if (config.fleet.kind === 'azure') {
    const { subscriptionId, resourceGroup, scaleSets } = config.fleet;
    const compute = { subscriptionId, resourceGroup, credential: await azureIdentity() };
    const fleet = new AzureScaleSets({ pools: scaleSets, compute, clock });
    return { fleet, close: () => Promise.resolve() };
  }
  const fleet = new LocalProcesses({
    programPath: WORKER_PROGRAM,
    environment: {
      ...config.workerEnvironment,
      FRAMEFLEET_INFERENCE_THREADS: String(config.inferenceThreads),
    },
    clock,
    log,
  });
  return { fleet, close: () => fleet.removeAll() };
}
