/** The sizes of a region, as the catalogue of Azure Compute lists them: those of the scale sets, and what a test says of others. PURE. */
import type { FakeScaleSet } from './fake-scale-set.ts';

export interface Offer {
  readonly family: string;
  readonly cores: number;
  readonly zones?: readonly string[];
  /** Why the subscription cannot have it in the region, or in some of its zones. */
  readonly refused?: string;
  readonly zonesRefused?: readonly string[];
  readonly isSpotCapable?: boolean;
}

/** Null: it is not offered any more. */
export type Offers = ReadonlyMap<string, Offer | null>;

export function skusBody(scaleSets: readonly FakeScaleSet[], offers: Offers, filter: string | null) {
  const [, location = 'westeurope'] = /location eq '([^']+)'/.exec(filter ?? '') ?? [];
  const own = scaleSets.map(({ spec }): [string, Offer] => [
    spec.size,
    { family: spec.family, cores: spec.coresPerMachine },
  ]);
  const all = new Map<string, Offer | null>([...own, ...offers]);
  return [...all].flatMap(([size, offer]) => (offer === null ? [] : [skuBody(size, offer, location)]));
}

function skuBody(
  size: string,
  { family, cores, zones = ['1', '2'], refused, zonesRefused = [], isSpotCapable = true }: Offer,
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
