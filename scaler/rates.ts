/**
 * Publishes what the fleet has measured, as `fleet-rates` in `control`, so that an estimate needs storage only. A write costs money, so small
 * changes are not published.
 */
import type { BlobStore } from '../shared/azure/blob-store.ts';
import { FLEET_RATES_BLOB } from '../shared/contract/blob-names.ts';
import { type FleetRates, haveRatesChanged, parseFleetRates } from '../shared/contract/fleet-rates.ts';
import type { WorkKind, WorkRates } from '../shared/redis/work-rates.ts';
import { idleWindowMs } from './decide/capacity.ts';
import type { Observation } from './observe/observation.ts';
import type { Policy } from './policy.ts';

const MODEL = 'model:';

export interface RatesPublisherOptions {
  readonly blobs: BlobStore;
  readonly workRates: Pick<WorkRates, 'read'>;
}

export class RatesPublisher {
  readonly #options: RatesPublisherOptions;
  /** Null until it is read. */
  #published: FleetRates | undefined | null = null;

  constructor(options: RatesPublisherOptions) {
    this.#options = options;
  }

  /** Does nothing while the fleet cannot be read, because the pools are unknown then. */
  async publish(observation: Observation, policy: Policy): Promise<void> {
    const { blobs, workRates } = this.#options;
    this.#published ??= parseFleetRates(String(await blobs.get('control', FLEET_RATES_BLOB)));
    const rates = ratesOf(observation, policy, await workRates.read());
    if (rates === null || (this.#published && !haveRatesChanged(this.#published, rates))) return;
    await blobs.put('control', FLEET_RATES_BLOB, JSON.stringify(rates, undefined, 2), {
      contentType: 'application/json',
    });
    this.#published = rates;
  }
}

/** Null if the fleet cannot be read. */
function ratesOf(
  { now, fleet, bootMs }: Pick<Observation, 'now' | 'fleet' | 'bootMs'>,
  policy: Policy,
  work: ReadonlyMap<WorkKind, number>,
): FleetRates | null {
  if (fleet === null) return null;
  const models = [...work].filter(([kind]) => kind.startsWith(MODEL));
  const rate = (kind: WorkKind): number | null => work.get(kind) ?? null;
  const inOrder = fleet.pools.toSorted((a, b) => Number(a.kind !== 'spot') - Number(b.kind !== 'spot'));
  return {
    version: 1,
    measuredAt: now.toISOString(),
    models: Object.fromEntries(models.map(([kind, megapixels]) => [kind.slice(MODEL.length), megapixels])),
    split: { cut: rate('split:cut'), decode: rate('split:decode'), images: rate('split:images') },
    join: rate('join'),
    bootSeconds: bootMs === null ? null : bootMs / 1000,
    idleSeconds: idleWindowMs(bootMs, policy) / 1000,
    enginesPerMachine: policy.enginesPerInstance,
    machinesMax: policy.capacityMax,
    drainTargetSeconds: policy.drainTargetMs / 1000,
    pools: inOrder.map(({ name }) => ({ name, pricePerHour: policy.pricePerHour[name] ?? null })),
  };
}
