/**
 * PURE. Judges whether a VM size is available in a region, by its name and by Azure's list of sizes.
 *
 * Source of the retired sizes: Microsoft's list of 2025-09-30. `infra/terraform/sizes.tf` rejects the same sizes at plan time.
 */
import type { Finding } from '../../../shared/contract/finding.ts';
import { errorFinding, okFinding, warningFinding } from '../finding.ts';

export interface SizeReading {
  readonly name: string;
  /** The name of its on-demand quota. */
  readonly family: string;
  /** Null if Azure does not report it. */
  readonly cores: number | null;
  readonly isSpotCapable: boolean;
  readonly zones: readonly string[];
  /** Why the size is restricted for this subscription: `NotAvailableForSubscription`, `QuotaId`. Null if it is not. */
  readonly restriction: string | null;
  /** Zones in which the size is restricted for this subscription. */
  readonly zonesRestricted: readonly string[];
}

const RETIRED_EVERYWHERE = /^Standard_NC(6|12|24|24r)((s_v2)|(_Promo))?$/i;
const RETIRED_V3 = /^Standard_NC(6|12|24|24r)s_v3$/i;
const SUCCESSORS =
  'Successors: Standard_NC40ads_H100_v5 (recommended by Azure), Standard_NC24ads_A100_v4, or the cheaper Standard_NC4as_T4_v3.';
/** Keeps the hint short. */
const ALTERNATIVES_MAX = 6;

export interface RequestedSize {
  readonly size: string;
  /** The zones of the VMs; empty: Azure chooses. */
  readonly zones: readonly string[];
}

/** `catalogue` holds every size of the region. */
export function judgeSize(
  { size, zones: zonesRequested }: RequestedSize,
  location: string,
  catalogue: readonly SizeReading[],
): Finding {
  const found = findSize(catalogue, size);
  if (RETIRED_EVERYWHERE.test(size))
    return errorFinding(
      'size',
      `${size} is retired in all regions`,
      `Set gpu_vm_size to another size. ${SUCCESSORS}`,
    );
  if (RETIRED_V3.test(size)) {
    return found === undefined || found.restriction !== null
      ? errorFinding(
          'size',
          `${size} was retired on 2025-09-30 and is not available in ${location}`,
          `Set gpu_vm_size to another size. ${SUCCESSORS}`,
        )
      : warningFinding(
          'size',
          `${size} was retired on 2025-09-30; ${location} offers it until 2027-06-30`,
          `Plan to migrate. ${SUCCESSORS}`,
        );
  }
  if (found === undefined) {
    const others = catalogue.filter(
      ({ name, restriction }) => name.startsWith('Standard_NC') && restriction === null,
    );
    const names = others.map(({ name }) => name).slice(0, ALTERNATIVES_MAX);
    return errorFinding(
      'size',
      `${size} is not offered in ${location}`,
      names.length === 0
        ? 'The region offers no other NC size. Choose another region (location).'
        : `Choose an offered size (gpu_vm_size): ${names.join(', ')}; or choose another region (location).`,
    );
  }
  if (found.restriction !== null)
    return errorFinding(
      'size',
      `${size} is offered in ${location}, but not to this subscription (${found.restriction})`,
      'Request it in the portal: Help + support › New support request › Service and subscription limits. Or choose another region or size.',
    );
  const zones = found.zones.filter((zone) => !found.zonesRestricted.includes(zone)).toSorted();
  const where = zones.length === 0 ? '' : `, in ${zonesText(zones)}`;
  const missing = zonesRequested.filter((zone) => !zones.includes(zone));
  if (missing.length === 0) return okFinding('size', `${size} is available in ${location}${where}`);
  const message = `${size} is not available in ${zonesText(missing)} of ${location}`;
  const hint = zones.length === 0 ? 'Set zones to [].' : `Set zones to [], or to ${JSON.stringify(zones)}.`;
  return missing.length === zonesRequested.length
    ? errorFinding('size', message, hint)
    : warningFinding('size', message, hint);
}

/** Ignores case: Azure's spelling of size names varies. */
export function findSize(catalogue: readonly SizeReading[], size: string): SizeReading | undefined {
  return catalogue.find(({ name }) => name.toLowerCase() === size.toLowerCase());
}

function zonesText(zones: readonly string[]): string {
  return `${zones.length === 1 ? 'zone' : 'zones'} ${zones.join(', ')}`;
}
