/**
 * The fleet as a whole: who counts as capacity, who does not, what it costs, and whether we can hear it at all. PURE.
 *
 * Alive is who works or is on his way there: booting, idle, busy, and what a pool was asked for and has not listed yet. Who is
 * asked to go, or goes, is not. A silent instance is not either, where others speak; where nobody speaks it is storage, or we, and
 * everybody counts as before.
 */
import type { FleetView, Pool } from '../fleet/fleet.ts';
import type { Policy } from '../policy.ts';
import type { Life, Standing } from './standing.ts';

/** A pool that was asked so recently may not list yet what it makes. */
const LISTING_LAG_MS = 60_000;
/** Lives of somebody who beats now, if he was ever heard. */
const HEARD: ReadonlySet<Life> = new Set(['booting', 'unready', 'idle', 'busy']);

export interface PoolPicture {
  readonly pool: Pool;
  /** What is there or was asked for, whatever became of it: what a total is counted from, and what is paid for. */
  readonly committed: number;
  /** Of those, what the cloud was asked for and could not give: asking again costs nothing more. */
  readonly missing: number;
  readonly alive: number;
}

export interface Picture {
  readonly standings: readonly Standing[];
  readonly alive: readonly Standing[];
  /** Alive, and what is coming that is not listed. */
  readonly aliveCount: number;
  readonly coming: number;
  readonly committed: number;
  readonly missing: number;
  readonly pools: readonly PoolPicture[];
  readonly spendingPerHour: number;
  /** Those silent ones whose own trouble it is. */
  readonly silent: readonly Standing[];
  /** Nobody is heard who was: hold. */
  readonly isFleetSilent: boolean;
  /** For how long the last one to be heard has been silent. */
  readonly fleetSilentMs: number;
}

export function pictureOf(
  { pools }: FleetView,
  standings: readonly Standing[],
  {
    policy,
    atMs,
    askedAtMs,
  }: {
    readonly policy: Policy;
    readonly atMs: number;
    readonly askedAtMs: Readonly<Record<string, number>>;
  },
): Picture {
  const { silent, isFleetSilent, fleetSilentMs } = silenceAmong(standings, policy);
  const alive = standings.filter(({ life, draining }) => {
    if (draining !== 'none') return false;
    if (life === 'silent') return isFleetSilent;
    return life === 'booting' || life === 'idle' || life === 'busy';
  });
  const pictures = pools.map((pool) => {
    const own = standings.filter(({ instance }) => instance.pool === pool.name);
    const listed = own.filter(({ life }) => life !== 'leaving').length;
    const askedMs = Object.hasOwn(askedAtMs, pool.name) ? atMs - (askedAtMs[pool.name] ?? 0) : Infinity;
    const mayLag = pool.isChanging || (askedMs >= 0 && askedMs < LISTING_LAG_MS);
    const unlisted = Math.max(0, pool.capacity - listed);
    const coming = mayLag ? unlisted : 0;
    return {
      pool,
      committed: Math.max(pool.capacity, listed),
      missing: unlisted - coming,
      coming,
      alive: coming + alive.filter(({ instance }) => instance.pool === pool.name).length,
    };
  });
  const coming = pictures.reduce((sum, one) => sum + one.coming, 0);
  return {
    standings,
    alive,
    aliveCount: alive.length + coming,
    coming,
    committed: pictures.reduce((sum, one) => sum + one.committed, 0),
    missing: pictures.reduce((sum, one) => sum + one.missing, 0),
    pools: pictures,
    spendingPerHour: pictures.reduce((sum, one) => sum + one.committed * priceOf(one.pool.name, policy), 0),
    silent,
    isFleetSilent,
    fleetSilentMs,
  };
}

export function priceOf(pool: string, { pricePerHour }: Pick<Policy, 'pricePerHour'>): number {
  return (Object.hasOwn(pricePerHour, pool) ? pricePerHour[pool] : 0) ?? 0;
}

/**
 * Whose trouble silence is. Nobody speaks: ours. Most are silent: ours too, until some have spoken all the while and the others
 * have not for as long as a boot takes. Else theirs.
 */
function silenceAmong(
  standings: readonly Standing[],
  { bootTimeoutMs }: Policy,
): Pick<Picture, 'silent' | 'isFleetSilent' | 'fleetSilentMs'> {
  // Who has consented may fall silent as he likes.
  const others = standings.filter(({ draining }) => draining !== 'consented');
  const silent = others.filter(({ life }) => life === 'silent');
  const speaking = others.filter(({ life, unheardMs }) => unheardMs !== null && HEARD.has(life));
  const lastHeardMs = Math.min(Infinity, ...silent.map(({ unheardMs }) => unheardMs ?? Infinity));
  const isMost = silent.length > speaking.length && lastHeardMs < bootTimeoutMs;
  const isFleetSilent = silent.length > 0 && (speaking.length === 0 || isMost);
  return {
    silent: isFleetSilent ? [] : silent,
    isFleetSilent,
    fleetSilentMs: isFleetSilent ? lastHeardMs : 0,
  };
}
