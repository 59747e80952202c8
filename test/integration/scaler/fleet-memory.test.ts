/** The stand-in that tests of the scaler use is a fleet like any other. */
import { systemClock as clock } from '../../../shared/runtime/clock.ts';
import { fleetContract } from '../../contract/fleet-contract.ts';
import { MemoryFleet } from '../../support/memory-fleet.ts';

fleetContract('a fleet of names', () =>
  Promise.resolve({
    fleet: new MemoryFleet({ clock }),
    pool: 'gpu',
    pass: () => undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }),
);
