/**
 * Maps the state of a scale set instance to an instance phase. PURE.
 *
 * Azure keeps two independent states: the result of the last change (`provisioningState`), and whether the instance runs
 * (`PowerState/…` in the instance view, absent at first). An instance that runs counts as running even if its provisioning failed;
 * its heartbeat tells whether its worker works.
 */
import type { InstancePhase } from './fleet.ts';

const STOPPED = new Set(['stopping', 'stopped', 'deallocating', 'deallocated']);
const POWER = 'PowerState/';

export function instancePhase(
  provisioningState: string,
  /** From the instance view, such as `PowerState/running`. */
  statusCodes: readonly string[],
): InstancePhase {
  const power = statusCodes.find((code) => code.startsWith(POWER))?.slice(POWER.length);
  if (provisioningState === 'Deleting') return 'deleting';
  if (provisioningState === 'Creating') return 'creating';
  if (power !== undefined && STOPPED.has(power)) return 'stopped';
  if (power === 'running') return 'running';
  if (provisioningState === 'Failed') return 'failed';
  return provisioningState === 'Succeeded' && power === undefined ? 'running' : 'creating';
}
