/**
 * Which phase of its life a machine of a scale set is in. PURE.
 *
 * Azure keeps two states that go their own ways: how the last change of the machine went (`provisioningState`), and whether it
 * runs (`PowerState/…` in its instance view, absent at first). A machine that runs is running, whatever failed in setting it up:
 * its heartbeat tells whether it is of use.
 */
import type { InstancePhase } from './fleet.ts';

const STOPPED = new Set(['stopping', 'stopped', 'deallocating', 'deallocated']);
const POWER = 'PowerState/';

export function instancePhase(
  provisioningState: string,
  /** Of its instance view, such as `PowerState/running`. */
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
