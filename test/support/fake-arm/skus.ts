/** The SKU catalogue of a region: the sizes of the scale sets, and other sizes that a test adds. PURE. */
import type { FakeScaleSet } from './fake-scale-set.ts';

export interface SkuOffer {
  readonly family: string;
  readonly cores: number;
  readonly zones?: readonly string[];
  /** Why the subscription cannot use the size in the region, or in some of its zones. */
  readonly refused?: string;
  readonly zonesRefused?: readonly string[];
  readonly isSpotCapable?: boolean;
}

/** By size. Null: the size is no longer offered. */
export type SkuOffers = ReadonlyMap<string, SkuOffer | null>;

export function skusBody(scaleSets: readonly FakeScaleSet[], offers: SkuOffers, filter: string | null) {
  const [, location = 'westeurope'] = /location eq '([^']+)'/.exec(filter ?? '') ?? [];
  const own = scaleSets.map(({ spec }): [string, SkuOffer] => [
    spec.size,
    { family: spec.family, cores: spec.coresPerInstance },
  ]);
  const all = new Map<string, SkuOffer | null>([...own, ...offers]);
  return [...all].flatMap(([size, offer]) => (offer === null ? [] : [skuBody(size, offer, location)]));
}

function skuBody(
  size: string,
  { family, cores, zones = ['1', '2'], refused, zonesRefused = [], isSpotCapable = true }: SkuOffer,
  location: string,
) {
  const restriction = (type: 'Location' | 'Zone', reasonCode: string) => ({
    type,
    values: [location],
    restrictionInfo: { locations: [location], ...(type === 'Zone' ? { zones: zonesRefused } : {}) },
    reasonCode,
  });
  return {
    resourceType: 'virtualMachines',
    name: size,
    tier: 'Standard',
    size: size.replace('Standard_', ''),
    family,
    locations: [location],
    locationInfo: [{ location, zones }],
    capabilities: [
      { name: 'vCPUs', value: String(cores) },
      { name: 'GPUs', value: '1' },
      { name: 'LowPriorityCapable', value: isSpotCapable ? 'True' : 'False' },
    ],
    restrictions: [
      ...(refused === undefined ? [] : [restriction('Location', refused)]),
      ...(zonesRefused.length === 0 ? [] : [restriction('Zone', 'NotAvailableForSubscription')]),
    ],
  };
}
