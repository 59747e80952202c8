/** The sizes of a region, as the catalogue of Azure Compute lists them: those of the scale sets here. PURE. */
import type { FakeScaleSet } from './fake-scale-set.ts';

export function skusBody(scaleSets: readonly FakeScaleSet[], filter: string | null) {
  const [, location = 'westeurope'] = /location eq '([^']+)'/.exec(filter ?? '') ?? [];
  const sizes = new Map(scaleSets.map(({ spec }) => [spec.size, spec]));
  return [...sizes.values()].map(({ size, family, coresPerMachine }) => ({
    resourceType: 'virtualMachines',
    name: size,
    tier: 'Standard',
    size: size.replace('Standard_', ''),
    family,
    locations: [location],
    locationInfo: [{ location, zones: ['1', '2'] }],
    capabilities: [
      { name: 'vCPUs', value: String(coresPerMachine) },
      { name: 'GPUs', value: '1' },
      { name: 'LowPriorityCapable', value: 'True' },
    ],
    restrictions: [],
  }));
}
