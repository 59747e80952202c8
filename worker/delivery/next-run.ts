/**
 * Which frames the engine runs next in a delivery, and what its deaths prove. PURE.
 *
 *   all together ──▶ the engine dies ──▶ frames in native code become suspects; the others go on together
 *        └─────────▶ only suspects are left ──▶ one by one, each saved in the message before it runs
 *   alone, the engine dies twice ──▶ the frame fails and is not tried again
 *
 * Only a death of an engine that ran a frame alone counts against that frame. Being one of several, or waiting for storage,
 * proves nothing.
 */

/** An engine that dies this often with no frame in native code cannot run the batch at all. */
const UNEXPLAINED_DEATHS_MAX = 3;
/** Deaths in one delivery. Beyond this, the batch is released, so that the job learns what has failed and others may try. */
const DEATHS_MAX = 12;
/** Deaths with a single frame in native code that prove the frame is the cause. */
const DEATHS_TO_FAIL_FRAME = 2;

export interface RunPlan {
  /** Neither stored nor failed yet, ascending. */
  readonly open: readonly number[];
  /** The open frames that run alone, in this order. */
  readonly suspects: readonly number[];
  /** Engine deaths with nothing but this frame in native code. Two of them prove that the frame is the cause. */
  readonly deathsOf: ReadonlyMap<number, number>;
  readonly deaths: number;
  readonly unexplainedDeaths: number;
}

type NextRun =
  | { readonly kind: 'together'; readonly frames: readonly number[] }
  | { readonly kind: 'alone'; readonly frameIndex: number }
  /** The frame is proven to kill the engine, and is not tried again. */
  | { readonly kind: 'fail-frame'; readonly frameIndex: number; readonly deaths: number }
  | { readonly kind: 'stop' }
  | { readonly kind: 'done' };

export function planRuns(frames: readonly number[], suspects: readonly number[] = []): RunPlan {
  return { open: frames, suspects, deathsOf: new Map(), deaths: 0, unexplainedDeaths: 0 };
}

export function nextRun({ open, suspects, deathsOf, deaths, unexplainedDeaths }: RunPlan): NextRun {
  for (const frameIndex of open) {
    const ownDeaths = deathsOf.get(frameIndex) ?? 0;
    if (ownDeaths >= DEATHS_TO_FAIL_FRAME) return { kind: 'fail-frame', frameIndex, deaths: ownDeaths };
  }
  if (open.length === 0) return { kind: 'done' };
  if (deaths >= DEATHS_MAX || unexplainedDeaths >= UNEXPLAINED_DEATHS_MAX) return { kind: 'stop' };
  const others = open.filter((frameIndex) => !suspects.includes(frameIndex));
  if (others.length > 0) return { kind: 'together', frames: others };
  const [frameIndex] = suspects;
  return frameIndex === undefined ? { kind: 'done' } : { kind: 'alone', frameIndex };
}

/** Drops frames that have been stored, have failed, or were blamed. */
export function keepOpen(plan: RunPlan, isOpen: (frameIndex: number) => boolean): RunPlan {
  return { ...plan, open: plan.open.filter(isOpen), suspects: plan.suspects.filter(isOpen) };
}

/** Counts an engine death. `computing` are the open frames that native code was working on. */
export function afterDeath(plan: RunPlan, computing: readonly number[]): RunPlan {
  const { suspects, deathsOf, deaths, unexplainedDeaths } = plan;
  const counted = { ...plan, deaths: deaths + 1 };
  const [only, ...others] = computing;
  if (only === undefined) return { ...counted, unexplainedDeaths: unexplainedDeaths + 1 };
  const newSuspects = computing.filter((frameIndex) => !suspects.includes(frameIndex));
  return {
    ...counted,
    suspects: [...suspects, ...newSuspects],
    deathsOf: others.length > 0 ? deathsOf : new Map(deathsOf).set(only, (deathsOf.get(only) ?? 0) + 1),
  };
}
