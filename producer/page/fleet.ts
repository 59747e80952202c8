/** The fleet as the page shows it, through the API of the scaler. */
import { z } from 'zod';

import { type ScalerAddress, requestScaler } from '../../shared/runtime/scaler-client.ts';
import type { Explanation, FleetHistory, FleetNow } from './contract.ts';

const overrideAnswer = z.object({
  mode: z.string(),
  capacity: z.number().nullable(),
  author: z.string(),
  reason: z.string(),
  expiresAt: z.string(),
});
const counts = z.record(z.string(), z.number());

/** Of what the scaler answers, the parts that the page shows. */
const statusAnswer = z.object({
  at: z.string(),
  sentence: z.string(),
  framesPerSecond: z.number().nullable(),
  framesLeft: z.number().nullable(),
  machines: counts.nullable(),
  capacity: z.object({ desired: z.number(), max: z.number() }),
  override: z.union([overrideAnswer, z.literal('unknown')]).nullable(),
  spending: z.object({ hasPrices: z.boolean(), perHour: z.number().nullable() }),
});
const column = z.array(z.number().nullable());
const historyAnswer = z.object({
  stepSeconds: z.number(),
  at: z.array(z.number()),
  framesPerSecond: column,
  framesLeft: column,
  perHour: column,
  machines: z.record(z.string(), column),
});
const explanationAnswer = z.object({
  at: z.string(),
  reason: z.string(),
  capacityDesired: z.number(),
  words: z.array(z.string()),
  blockers: z.array(z.object({ detail: z.string() })),
});

export class PageFleet {
  readonly #scaler: ScalerAddress;

  constructor(scaler: ScalerAddress) {
    this.#scaler = scaler;
  }

  async now(): Promise<FleetNow> {
    const status = await this.#status();
    return {
      at: status.at,
      framesPerSecond: status.framesPerSecond,
      framesLeft: status.framesLeft,
      machines: status.machines ?? {},
      capacityDesired: status.capacity.desired,
      capacityMax: status.capacity.max,
      moneyPerHour: status.spending.hasPrices ? status.spending.perHour : null,
      override: overrideOf(status.override),
      reason: status.sentence,
    };
  }

  async hasPrices(): Promise<boolean> {
    return (await this.#status()).spending.hasPrices;
  }

  async history(hours: number): Promise<FleetHistory> {
    const path = `/history?hours=${hours}`;
    const { perHour, ...rest } = await requestScaler({ method: 'GET', path }, historyAnswer, this.#scaler);
    return { ...rest, moneyPerHour: perHour };
  }

  /** `query` is the what-if, as the visitor typed it: the scaler checks it. */
  async explain(query: URLSearchParams): Promise<Explanation> {
    const path = `/explain?${query.toString()}`;
    const answer = await requestScaler({ method: 'GET', path }, explanationAnswer, this.#scaler);
    return { ...answer, blockers: answer.blockers.map(({ detail }) => detail), next: nextOf(answer.words) };
  }

  /** The scaler checks the request. */
  async setOverride(request: Readonly<Record<string, unknown>>, author: string): Promise<FleetNow> {
    const body = { ...request, author };
    const put = { method: 'PUT', path: '/override', body } as const;
    const { override } = await requestScaler(put, z.object({ override: overrideAnswer }), this.#scaler);
    // The status is from the last tick, before the override.
    return { ...(await this.now()), override: overrideOf(override) };
  }

  async endOverride(reason: string, author: string): Promise<FleetNow> {
    const body = { reason, author };
    await requestScaler({ method: 'DELETE', path: '/override', body }, z.unknown(), this.#scaler);
    return { ...(await this.now()), override: null };
  }

  #status() {
    return requestScaler({ method: 'GET', path: '/status' }, statusAnswer, this.#scaler);
  }
}

function overrideOf(override: z.output<typeof overrideAnswer> | 'unknown' | null): FleetNow['override'] {
  if (override === null || override === 'unknown') return null;
  const { mode, capacity, author, reason, expiresAt: endsAt } = override;
  return { mode, capacity, author, reason, endsAt };
}

function nextOf(words: readonly string[]): string | null {
  const prefix = 'Next: ';
  return words.find((line) => line.startsWith(prefix))?.slice(prefix.length) ?? null;
}
