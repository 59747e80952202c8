/** What an instance does while it costs money: it boots, works or is idle. PURE. */
import type { Instance } from '../fleet/fleet.ts';
import type { Observation } from '../observe/observation.ts';

export type Activity = 'boot' | 'work' | 'idle';

/**
 * By the last heartbeats of its workers. An instance that drains counts as idle, also while it finishes a batch. Where heartbeats cannot be read,
 * a running instance counts as working.
 */
export function activityOf(
  { phase, vmId }: Pick<Instance, 'phase' | 'vmId'>,
  { workers }: Pick<Observation, 'workers'>,
): Activity {
  if (phase === 'creating') return 'boot';
  if (workers === null) return 'work';
  const states = (vmId === null ? [] : (workers.get(vmId) ?? [])).map(({ beat }) => beat.state);
  if (states.every((state) => state === 'booting')) return 'boot';
  return states.includes('busy') ? 'work' : 'idle';
}
