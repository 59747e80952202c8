/**
 * PURE. Whether a size of machine can be had in a region, by name and by Azure's catalogue.
 *
 * Retired sizes: Microsoft's list of 2025-09-30; `infra/terraform/sizes.tf` refuses the same ones at plan time.
 */
import type { Finding } from '../../../shared/contract/finding.ts';
import { right, warning, wrong } from '../finding.ts';

export interface SizeReading {
  readonly name: string;
  /** The name of its quota on demand. */
  readonly family: string;
  /** Null where Azure does not say. */
  readonly cores: number | null;
  readonly isSpotCapable: boolean;
  readonly zones: readonly string[];
  /** Why this subscription cannot have it in the region: `NotAvailableForSubscription`, `QuotaId`; null where it can. */
  readonly refusedBecause: string | null;
  /** Zones of the region in which it cannot have it. */
  readonly zonesRefused: readonly string[];
}

const RETIRED_EVERYWHERE = /^Standard_NC(6|12|24|24r)((s_v2)|(_Promo))?$/i;
const RETIRED_V3 = /^Standard_NC(6|12|24|24r)s_v3$/i;
const SUCCESSORS =
  'Its successors: Standard_NC40ads_H100_v5 (Azure’s own choice), Standard_NC24ads_A100_v4, and for little money Standard_NC4as_T4_v3.';
/** As many others as help to choose. */
const OTHERS_TOLD = 6;

export function judgeSize({
  size,
  location,
  catalogue,
  zones: zonesWanted,
}: {
  readonly size: string;
  readonly location: string;
  /** Every size of the region. */
  readonly catalogue: readonly SizeReading[];
  /** That machines are to be in; none: wherever there is room. */
  readonly zones: readonly string[];
}): Finding {
  const found = find(catalogue, size);
  if (RETIRED_EVERYWHERE.test(size))
    return wrong('size', `${size} has been retired everywhere`, `Set gpu_vm_size to another. ${SUCCESSORS}`);
  if (RETIRED_V3.test(size)) {
    return found === undefined || found.refusedBecause !== null
      ? wrong(
          'size',
          `${size} was retired on 2025-09-30 and cannot be had in ${location}`,
          `Set gpu_vm_size to another. ${SUCCESSORS}`,
        )
      : warning(
          'size',
          `${size} was retired on 2025-09-30; ${location} still has it, until 2027-06-30`,
          `Plan the move. ${SUCCESSORS}`,
        );
  }
  if (found === undefined) {
    const others = catalogue.filter(
      ({ name, refusedBecause }) => name.startsWith('Standard_NC') && refusedBecause === null,
    );
    const names = others.map(({ name }) => name).slice(0, OTHERS_TOLD);
    return wrong(
      'size',
      `${size} is not offered in ${location}`,
      names.length === 0
        ? 'Nor is any other NC size: choose another region (location).'
        : `Choose one that is (gpu_vm_size): ${names.join(', ')}; or another region (location).`,
    );
  }
  if (found.refusedBecause !== null)
    return wrong(
      'size',
      `${size} is offered in ${location}, but not to this subscription (${found.refusedBecause})`,
      'Ask for it: portal › Help + support › New support request › Service and subscription limits; or choose another region or size.',
    );
  const zones = found.zones.filter((zone) => !found.zonesRefused.includes(zone)).toSorted();
  const where = zones.length === 0 ? '' : `, in ${zonesText(zones)}`;
  const missing = zonesWanted.filter((zone) => !zones.includes(zone));
  if (missing.length === 0) return right('size', `${size} can be had in ${location}${where}`);
  const says = `${size} cannot be had in ${zonesText(missing)} of ${location}`;
  const todo =
    zones.length === 0 ? 'Leave zones empty.' : `Leave zones empty, or set it to ${JSON.stringify(zones)}.`;
  return missing.length === zonesWanted.length ? wrong('size', says, todo) : warning('size', says, todo);
}

/** Azure writes a size's name in more than one way. */
export function find(catalogue: readonly SizeReading[], size: string): SizeReading | undefined {
  return catalogue.find(({ name }) => name.toLowerCase() === size.toLowerCase());
}

function zonesText(zones: readonly string[]): string {
  return `${zones.length === 1 ? 'zone' : 'zones'} ${zones.join(', ')}`;
}
