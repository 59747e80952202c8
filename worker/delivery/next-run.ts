/**
 * Which frames the engine runs next in a delivery, and what its deaths prove. PURE.
 *
 *   all together ──▶ the engine dies ──▶ what it was computing is suspect; the others go on together
 *        └──────────▶ nothing is left but suspects ──▶ one by one, each saved in the message before it is tried
 *   alone, the engine dies of it twice ──▶ the frame is given up
 *
 * A frame is blamed on evidence only: that it was one of several, or that it was waiting for storage, proves nothing.
 */

/** An engine that dies so often without computing anything cannot run the batch at all. */
const UNEXPLAINED_DEATHS_MAX = 3;
/** Deaths in one delivery: then others may have a go at what is left, and the job hears of what has failed. */
const DEATHS_MAX = 12;
/** Deaths of it alone that prove a frame's guilt. */
const PROOF_DEATHS = 2;

export interface Pursuit {
  /** Neither stored nor failed yet, ascending. */
  readonly open: readonly number[];
  /** Frames of those that are tried alone, in this order. */
  readonly suspects: readonly number[];
  /** Deaths of engines that computed nothing but this frame. */
  readonly deathsOf: ReadonlyMap<number, number>;
  readonly deaths: number;
  readonly unexplainedDeaths: number;
}

export type NextRun =
  | { readonly kind: 'together'; readonly frames: readonly number[] }
  | { readonly kind: 'alone'; readonly frameIndex: number }
  /** Proven: it is not tried again. */
  | { readonly kind: 'blame'; readonly frameIndex: number; readonly deaths: number }
  | { readonly kind: 'give-up' }
  | { readonly kind: 'done' };

export function beginPursuit(frames: readonly number[], suspects: readonly number[] = []): Pursuit {
  return {
    open: frames,
    suspects,
    deathsOf: new Map(),
    deaths: 0,
    unexplainedDeaths: 0,
  };
}

export function nextRun({ open, suspects, deathsOf, deaths, unexplainedDeaths }: Pursuit): NextRun {
  for (const frameIndex of open) {
    const own = deathsOf.get(frameIndex) ?? 0;
    if (own >= PROOF_DEATHS) return { kind: 'blame', frameIndex, deaths: own };
  }
  if (open.length === 0) return { kind: 'done' };
  if (deaths >= DEATHS_MAX || unexplainedDeaths >= UNEXPLAINED_DEATHS_MAX) return { kind: 'give-up' };
  const others = open.filter((frameIndex) => !suspects.includes(frameIndex));
  if (others.length > 0) return { kind: 'together', frames: others };
  const [frameIndex] = suspects;
  return frameIndex === undefined ? { kind: 'done' } : { kind: 'alone', frameIndex };
}

/** Frames that were stored, failed or blamed since are no concern any more. */
export function resolve(pursuit: Pursuit, isOpen: (frameIndex: number) => boolean): Pursuit {
  return { ...pursuit, open: pursuit.open.filter(isOpen), suspects: pursuit.suspects.filter(isOpen) };
}

/** What a death of the engine proves. `computing` are the frames that native code was working on and that are still open. */
export function afterDeath(pursuit: Pursuit, computing: readonly number[]): Pursuit {
  const { suspects, deathsOf, deaths, unexplainedDeaths } = pursuit;
  const counted = { ...pursuit, deaths: deaths + 1 };
  const [only, ...others] = computing;
  if (only === undefined) return { ...counted, unexplainedDeaths: unexplainedDeaths + 1 };
  const fresh = computing.filter((frameIndex) => !suspects.includes(frameIndex));
  return {
    ...counted,
    suspects: [...suspects, ...fresh],
    deathsOf: others.length > 0 ? deathsOf : new Map(deathsOf).set(only, (deathsOf.get(only) ?? 0) + 1),
  };
}
