/** Carries a decision out. Has no opinions: what is not in the decision does not happen. */
import type { Log } from '../shared/runtime/log.ts';
import type { Decision } from './decide.ts';
import type { Fleet } from './fleet/fleet.ts';

export async function act(
  { action, reason, numbers }: Decision,
  { fleet, log }: { readonly fleet: Fleet; readonly log: Log },
): Promise<void> {
  switch (action.kind) {
    case 'hold':
      return;
    case 'scale-out':
      log.info({ reason, total: action.total, ...numbers }, 'scaling out');
      await fleet.scaleOut(action.total);
      return;
    case 'remove':
      log.info({ reason, vmIds: action.vmIds, ...numbers }, 'removing instances');
      await fleet.remove(action.vmIds);
      return;
  }
}
