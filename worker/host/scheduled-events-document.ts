/**
 * What Azure's Scheduled Events document says of this machine: the notices that it will go. PURE.
 *
 * Source: "Azure Metadata Service: Scheduled Events for Linux VMs", api-version 2020-07-01. An event of a kind we do not know
 * is none of our business. One that we should understand and cannot is a fault, but hides no other notice: better a machine
 * that lets go of its work once too often than one that is gone with it.
 */
import { z } from 'zod';

import { parseJson } from '../../shared/contract/parse-json.ts';

/**
 * Preempt    spot capacity is taken back: 30 s, at best
 * Terminate  the machine will be deleted: 5 to 15 min, as its scale set says
 * Reboot     15 min
 * Redeploy   it moves to another host, and loses its local disk: 10 min
 *
 * Freeze, a pause of some seconds, is not among them: a lease outlives it, or is lost as any other.
 */
export const EVICTION_TYPES = ['Preempt', 'Terminate', 'Reboot', 'Redeploy'] as const;

export interface EvictionNotice {
  readonly eventId: string;
  readonly eventType: (typeof EVICTION_TYPES)[number];
  /** Null: at any moment. It has started, or does not say when it will. */
  readonly notBeforeAt: Date | null;
  /** It is other machines' event, too. */
  readonly isShared: boolean;
}

export interface ScheduledEventsReading {
  /** In the document's order. */
  readonly evictions: readonly EvictionNotice[];
  /** The first thing in the document that is not as it should be. */
  readonly fault: string | null;
}

const document = z.object({ Events: z.array(z.unknown()) });
const someEvent = z.object({ EventType: z.string() });
const evictionEvent = z.object({
  EventId: z.string().min(1).max(200),
  EventType: z.enum(EVICTION_TYPES),
  Resources: z.array(z.string()),
  /** An unreadable time does not make a notice less true. */
  NotBefore: z.string().nullish().catch(null),
});

const isEvictionType = (eventType: string): boolean =>
  EVICTION_TYPES.some((evictionType) => evictionType === eventType);

/** Never throws. `vmName` is the machine's name as Azure spells it (`<scale set>_<id>`), in any case; null takes every event for ours. */
export function readScheduledEvents(
  text: string,
  { vmName }: { readonly vmName: string | null },
): ScheduledEventsReading {
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

function noticeOf({
  EventId,
  EventType,
  Resources,
  NotBefore,
}: z.infer<typeof evictionEvent>): EvictionNotice {
  return {
    eventId: EventId,
    eventType: EventType,
    notBeforeAt: instantOf(NotBefore ?? ''),
    isShared: Resources.length > 1,
  };
}

/** Azure's names are the same in any case. */
function concerns(resources: readonly string[], vmName: string | null): boolean {
  return vmName === null || resources.some((name) => name.toLowerCase() === vmName.toLowerCase());
}

/** RFC 1123 as documented, or ISO 8601. What names no zone would be read as this machine's own: it is not read. */
function instantOf(text: string): Date | null {
  const atMs = /(?:GMT|Z)$/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(atMs) ? null : new Date(atMs);
}

function faultOf(what: string, error: z.ZodError): string {
  const [issue] = error.issues;
  const where = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`;
  return `${what} is not as expected${where}: ${issue?.message ?? error.message}`;
}
