/**
 * Reads the eviction notices for this instance from Azure's Scheduled Events document. PURE.
 *
 * Source: "Azure Metadata Service: Scheduled Events for Linux VMs", api-version 2020-07-01. Events of unknown types are ignored.
 * An event of a known type that cannot be read is a fault, but does not hide other notices: releasing work once too often costs
 * less than losing it.
 */
import { z } from 'zod';

import { parseJson } from '../../shared/contract/parse-json.ts';

/**
 * Preempt    Azure takes spot capacity back: 30 s notice at best
 * Terminate  the instance will be deleted: 5 to 15 min, as configured in its scale set
 * Reboot     15 min
 * Redeploy   the instance moves to another host and loses its local disk: 10 min
 *
 * Freeze, a pause of a few seconds, is not an eviction: the lease survives it, or is lost like any other.
 */
export const EVICTION_TYPES = ['Preempt', 'Terminate', 'Reboot', 'Redeploy'] as const;

export interface EvictionNotice {
  readonly eventId: string;
  readonly eventType: (typeof EVICTION_TYPES)[number];
  /** Null: at any moment, because the event has started or names no time. */
  readonly notBeforeAt: Date | null;
  /** Whether the event also concerns other instances. */
  readonly isShared: boolean;
}

export interface ScheduledEventsReading {
  /** In the document's order. */
  readonly evictions: readonly EvictionNotice[];
  /** The first part of the document that could not be read. */
  readonly fault: string | null;
}

const document = z.object({ Events: z.array(z.unknown()) });
const someEvent = z.object({ EventType: z.string() });
const evictionEvent = z.object({
  EventId: z.string().min(1).max(200),
  EventType: z.enum(EVICTION_TYPES),
  Resources: z.array(z.string()),
  /** The notice stands even if its time cannot be read. */
  NotBefore: z.string().nullish().catch(null),
});

const isEvictionType = (eventType: string): boolean =>
  EVICTION_TYPES.some((evictionType) => evictionType === eventType);

/**
 * Never throws. `vmName` is the instance's name as Azure spells it (`<scale set>_<id>`), in any case. With null, every event counts
 * as this instance's.
 */
export function readScheduledEvents(text: string, vmName: string | null): ScheduledEventsReading {
  const parsed = document.safeParse(parseJson(text));
  if (!parsed.success) return { evictions: [], fault: faultOf('the document', parsed.error) };
  const evictions: EvictionNotice[] = [];
  const faults: string[] = [];
  for (const [index, entry] of parsed.data.Events.entries()) {
    const some = someEvent.safeParse(entry);
    if (some.success && !isEvictionType(some.data.EventType)) continue;
    const event = evictionEvent.safeParse(entry);
    if (!event.success) faults.push(faultOf(`event ${index}`, event.error));
    else if (concerns(event.data.Resources, vmName)) evictions.push(noticeOf(event.data));
  }
  return { evictions, fault: faults[0] ?? null };
}

function noticeOf(event: z.infer<typeof evictionEvent>): EvictionNotice {
  return {
    eventId: event.EventId,
    eventType: event.EventType,
    notBeforeAt: instantOf(event.NotBefore ?? ''),
    isShared: event.Resources.length > 1,
  };
}

/** Azure's names are case-insensitive. */
function concerns(resources: readonly string[], vmName: string | null): boolean {
  return vmName === null || resources.some((name) => name.toLowerCase() === vmName.toLowerCase());
}

/** RFC 1123 as documented, or ISO 8601. A time without a zone is ignored, because it would be read as local time. */
function instantOf(text: string): Date | null {
  const atMs = /(?:GMT|Z)$/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(atMs) ? null : new Date(atMs);
}

function faultOf(what: string, error: z.ZodError): string {
  const [issue] = error.issues;
  const where = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`;
  return `cannot read ${what}${where}: ${issue?.message ?? error.message}`;
}
