/**
 * Azure's rate limits: a token bucket for each scale set and kind of call, refilled steadily.
 *
 * Source: Microsoft Learn, "Compute throttling limits".
 */
const LIMITS = {
  UpdateVMScaleSet: { perMinute: 4, burst: 12 },
  DeleteVMScaleSet: { perMinute: 4, burst: 12 },
  LowCostGet: { perMinute: 12, burst: 36 },
  HighCostGet: { perMinute: 10, burst: 30 },
  GetOperation: { perMinute: 15, burst: 45 },
} as const;

export type CallGroup = keyof typeof LIMITS;

export class TokenBuckets {
  readonly #levels = new Map<string, { readonly tokens: number; readonly atMs: number }>();

  /** Takes a token and returns how many are left. Without a token, returns the negative seconds until the next one. */
  take(resource: string, group: CallGroup, nowMs: number): number {
    const { perMinute, burst } = LIMITS[group];
    const key = `${group} ${resource}`;
    const level = this.#levels.get(key) ?? { tokens: burst, atMs: nowMs };
    const tokens = Math.min(burst, level.tokens + ((nowMs - level.atMs) / 60_000) * perMinute);
    const isGranted = tokens >= 1;
    this.#levels.set(key, { tokens: isGranted ? tokens - 1 : tokens, atMs: nowMs });
    return isGranted ? Math.floor(tokens - 1) : -Math.ceil(((1 - tokens) / perMinute) * 60);
  }
}
