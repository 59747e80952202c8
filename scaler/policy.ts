/** What the operator wants of the fleet, as numbers. PURE. */
export interface Policy {
  /** Never more instances than this. */
  readonly capacityMax: number;
  /** The backlog is to be drained within this time, as far as the capacity allows. */
  readonly drainTargetMs: number;
  /** With nothing to do, instances are kept for so long. */
  readonly idleMs: number;
}
