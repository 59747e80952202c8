/**
 * What a fleet has measured, for estimates: `fleet-rates` in `control`. The leading scaler writes it when a figure has changed by more than a
 * twentieth. PURE.
 */
import { z } from 'zod';

import { parseJson } from './parse-json.ts';

const positive = z.number().positive();

const fleetRates = z.object({
  version: z.literal(1),
  measuredAt: z.iso.datetime(),
  /** Megapixels per second of one engine, by model. Frames before a batch that a model with a state sees again count. */
  models: z.record(z.string(), positive),
  /** Megapixels per second of one producer; null until measured. */
  split: z.object({ cut: positive.nullable(), decode: positive.nullable(), images: positive.nullable() }),
  join: positive.nullable(),
  /** From the request for a machine to its first heartbeat; null until measured. */
  bootSeconds: z.number().min(0).nullable(),
  /** For how long an idle machine is kept. */
  idleSeconds: z.number().min(0),
  enginesPerMachine: z.int().min(1),
  machinesMax: z.int().min(0),
  /** The backlog should be finished within this time. */
  drainTargetSeconds: positive,
  /** In the order in which the scaler fills them. The price of a machine per hour is null if none is set. */
  pools: z.array(z.object({ name: z.string(), pricePerHour: z.number().min(0).nullable() })),
});
export type FleetRates = z.infer<typeof fleetRates>;

/** A figure that differs by less is not worth a write. */
const CHANGE_MIN = 0.05;

/** Undefined if the text is nothing of the kind, or of another release. */
export function parseFleetRates(text: string): FleetRates | undefined {
  return fleetRates.safeParse(parseJson(text)).data;
}

/** Whether a figure differs by more than a twentieth, or one is new or gone. */
export function haveRatesChanged(before: FleetRates, after: FleetRates): boolean {
  return isFar({ ...before, measuredAt: '' }, { ...after, measuredAt: '' });
}

function isFar(before: unknown, after: unknown): boolean {
  if (typeof before === 'number' && typeof after === 'number')
    return Math.abs(after - before) > CHANGE_MIN * Math.abs(before);
  if (typeof before !== 'object' || typeof after !== 'object' || before === null || after === null)
    return before !== after;
  const [was, is] = [before as Record<string, unknown>, after as Record<string, unknown>];
  return [...new Set([...Object.keys(was), ...Object.keys(is)])].some((key) => isFar(was[key], is[key]));
}
