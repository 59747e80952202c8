/**
 * Who is asked to drain because there are more than are wanted, at this tick. PURE. `who-goes.ts` chooses; here it is said when it
 * may choose at all: everything is read, nobody is missing, and for idleness queue and ledger agree that there is no more to do.
 */
import type { Observation } from '../observe/observation.ts';
import type { Policy } from '../policy.ts';
import type { Bounds } from './bounds.ts';
import type { Demand } from './capacity-wanted.ts';
import type { DrainWhy } from './decision.ts';
import type { Picture } from './fleet-picture.ts';
import type { Memory } from './memory.ts';
import type { Asked } from './to-be-replaced.ts';
import { excessWhoGo, idleWhoGo } from './who-goes.ts';

export interface Shrink {
  readonly asked: readonly Asked[];
  readonly surplusNow: number;
  readonly due: number;
  /** In how long the next idle one is due. */
  readonly dueInMs: number | null;
  readonly surplus: Memory['surplus'];
}

export function shrinkFleet({
  observation: { workers, drainRequests, atMs },
  demand,
  bounds,
  desired,
  windowMs,
  picture,
  policy,
  memory,
  isGrowing,
  isZeroDoubted,
}: {
  readonly observation: Observation;
  readonly demand: Demand;
  readonly bounds: Bounds;
  readonly desired: number;
  readonly windowMs: number;
  readonly picture: Picture;
  readonly policy: Policy;
  readonly memory: Memory;
  readonly isGrowing: boolean;
  readonly isZeroDoubted: boolean;
}): Shrink {
  const nothing: Shrink = { asked: [], surplusNow: 0, due: 0, dueInMs: null, surplus: memory.surplus };
  if (isGrowing) return { ...nothing, surplus: null };
  if (workers === null || drainRequests === null) return nothing;

  if (bounds.isCeilingAsked && picture.aliveCount > bounds.ceiling) {
    const excess = excessWhoGo({ picture, ceiling: bounds.ceiling, policy });
    return { ...nothing, asked: asked(excess, 'override'), surplusNow: picture.aliveCount - bounds.ceiling };
  }
  if (!demand.isComplete || picture.isFleetSilent || isZeroDoubted) return nothing;
  const wanted = Math.max(bounds.floor, demand.wanted);
  const { going, ...rest } = idleWhoGo({
    picture,
    desired,
    wanted,
    windowMs,
    policy,
    surplus: memory.surplus,
    atMs,
  });
  return { ...rest, asked: asked(going, 'idle') };
}

function asked(standings: readonly Asked['standing'][], why: DrainWhy): readonly Asked[] {
  return standings.map((standing) => ({ standing, why }));
}
