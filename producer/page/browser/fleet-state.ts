/**
 * The fleet as the events tell it. An override that the visitor has just set or ended is kept until the scaler tells of it: the events on
 * their way are from before.
 */
import { signal } from '@preact/signals';

import type { FleetNow } from '../contract.ts';

/** A tick that had begun before the order ends after it, so that its state is newer but does not tell of the order. */
const TICKS_BEFORE = 1;

export const fleetNow = signal<FleetNow | null>(null);
/** Changes with the decision and the override that the scaler tells of, and its explanation with them. */
export const decisionTold = signal('');

interface OverrideOrder {
  readonly override: FleetNow['override'];
  /** Of the newest state that did not tell of it. */
  readonly at: string;
  readonly ticks: number;
}
let order: OverrideOrder | null = null;

/** The server's answer to an order of the visitor. */
export function fleetAfterOrder(fleet: FleetNow): void {
  order = { override: fleet.override, at: fleet.at, ticks: 0 };
  fleetNow.value = fleet;
}

/** A state of the fleet from the events. */
export function fleetFromEvent(fleet: FleetNow): void {
  if (order !== null && fleet.at > order.at) {
    const isTold = order.ticks >= TICKS_BEFORE || isSame(order.override, fleet.override);
    order = isTold ? null : { ...order, at: fleet.at, ticks: order.ticks + 1 };
  }
  decisionTold.value = JSON.stringify([fleet.reason, fleet.override]);
  fleetNow.value = order === null ? fleet : { ...fleet, override: order.override };
}

function isSame(one: FleetNow['override'], other: FleetNow['override']): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
