/** Runs the fleet contract against the in-memory fleet that tests of the scaler use. */
import { systemClock as clock } from '../../../shared/runtime/clock.ts';
import { fleetContract } from '../../contract/fleet-contract.ts';
import { MemoryFleet } from '../../support/memory-fleet.ts';

fleetContract('an in-memory fleet', () =>
  Promise.resolve({
    fleet: new MemoryFleet({ clock }),
    pool: 'gpu',
    pass: () => undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }),
);
