/** Everything that was found out and settled on at one tick: what a decision is put together from. PURE: types only. */
import type { Observation } from '../observe/observation.ts';
import type { Policy } from '../policy.ts';
import type { Bounds } from './bounds.ts';
import type { Demand } from './capacity-wanted.ts';
import type { Action } from './decision.ts';
import type { Picture } from './fleet-picture.ts';
import type { FleetGrowth } from './grow-fleet.ts';
import type { Shrink } from './shrink-fleet.ts';
import type { Asked } from './to-be-replaced.ts';

export interface Plan {
  readonly observation: Observation;
  readonly policy: Policy;
  readonly demand: Demand;
  readonly bounds: Bounds;
  readonly windowMs: number;
  readonly picture: Picture;
  readonly desired: number;
  readonly replaced: readonly Asked[];
  readonly growth: FleetGrowth;
  readonly shrink: Shrink;
  readonly removed: readonly Extract<Action, { kind: 'remove' }>[];
}
