/**
 * What the engine runs next in a delivery, and what its deaths prove. PURE.
 *
 *   all open segments ──▶ the engine dies ──▶ frames in native code become suspects; segments without suspects go on
 *        └──────────────▶ only segments with suspects are left ──▶ they run with care: each suspect alone, saved in the message before
 *   alone, the engine dies twice ──▶ the frame fails and is not tried again
 *
 * Only a death of an engine that ran a frame alone counts against that frame. Being one of several, or waiting for storage,
 * proves nothing.
 */
import type { FrameRange } from '../../shared/contract/ranges.ts';

/** An engine that dies this often with no frame in native code cannot run the batch at all. */
const UNEXPLAINED_DEATHS_MAX = 3;
/** Deaths in one delivery. Beyond this, the batch is released, so that the job learns what has failed and others may try. */
const DEATHS_MAX = 12;
/** Deaths with a single frame in native code that prove the frame is the cause. */
const DEATHS_TO_FAIL_FRAME = 2;

export interface RunPlan {
  /** The model has a state: all open segments run in one go, from the first one on. */
  readonly isInOrder: boolean;
  /** Segments to run: neither stored nor left for another delivery. Ascending. */
  readonly open: readonly FrameRange[];
  /** The frames that run alone. */
  readonly suspects: readonly number[];
  /** Engine deaths with nothing but this frame in native code. Two of them prove that the frame is the cause. */
  readonly deathsOf: ReadonlyMap<number, number>;
  readonly deaths: number;
  readonly unexplainedDeaths: number;
}

type NextRun =
  /** `careful`: those of the frames that run alone. */
  | { readonly kind: 'run'; readonly segments: readonly FrameRange[]; readonly careful: readonly number[] }
  /** The frame is proven to kill the engine, and is not tried again. */
  | { readonly kind: 'fail-frame'; readonly frameIndex: number; readonly deaths: number }
  | { readonly kind: 'stop' }
  | { readonly kind: 'done' };

export function planRuns(
  open: readonly FrameRange[],
  suspects: readonly number[] = [],
  { isInOrder = false }: Partial<Pick<RunPlan, 'isInOrder'>> = {},
): RunPlan {
  return { isInOrder, open, suspects, deathsOf: new Map(), deaths: 0, unexplainedDeaths: 0 };
}

export function nextRun({
  isInOrder,
  open,
  suspects,
  deathsOf,
  deaths,
  unexplainedDeaths,
}: RunPlan): NextRun {
  for (const [frameIndex, ownDeaths] of deathsOf)
    if (ownDeaths >= DEATHS_TO_FAIL_FRAME) return { kind: 'fail-frame', frameIndex, deaths: ownDeaths };
  if (open.length === 0) return { kind: 'done' };
  if (deaths >= DEATHS_MAX || unexplainedDeaths >= UNEXPLAINED_DEATHS_MAX) return { kind: 'stop' };
  if (isInOrder) return { kind: 'run', segments: open, careful: suspects };
  const others = open.filter((frames) => !suspects.some((frameIndex) => isIn(frames, frameIndex)));
  if (others.length > 0) return { kind: 'run', segments: others, careful: [] };
  return { kind: 'run', segments: open, careful: suspects };
}

/** Drops segments that are stored or left for another delivery, with their suspects. */
export function keepOpen(plan: RunPlan, isOpen: (segment: FrameRange) => boolean): RunPlan {
  const open = plan.open.filter(isOpen);
  const isInOpen = (frameIndex: number): boolean => open.some((frames) => isIn(frames, frameIndex));
  return {
    ...plan,
    open,
    suspects: plan.suspects.filter(isInOpen),
    deathsOf: new Map([...plan.deathsOf].filter(([frameIndex]) => isInOpen(frameIndex))),
  };
}

/** For a frame that is given up: it is not tried again, so it is no suspect any more. */
export function withoutFrame(plan: RunPlan, given: number): RunPlan {
  return {
    ...plan,
    suspects: plan.suspects.filter((frameIndex) => frameIndex !== given),
    deathsOf: new Map([...plan.deathsOf].filter(([frameIndex]) => frameIndex !== given)),
  };
}

/** Counts an engine death. `computing` are the frames that native code was working on. */
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

function isIn([start, end]: FrameRange, frameIndex: number): boolean {
  return frameIndex >= start && frameIndex < end;
}
