/**
 * Workers that fail what others score. PURE.
 *
 * By the tries of the last ten minutes, as the workers count them (a frame that is no picture, or not there, is not counted). A
 * worker is at fault when it failed ten times at least and more often than not, while the others, who tried as often as that
 * together and are as many, fail one in ten at most. Where everybody fails, it is the job or the model. Source: Flamenco's block
 * list and Deadline's bad list, with the share instead of a count alone.
 */
import type { Standing } from './standing.ts';

const FAILED_MIN = 10;
const FAILED_SHARE_MIN = 0.5;
const OTHERS_TRIES_MIN = 10;
const OTHERS_FAILED_SHARE_MAX = 0.1;
/** Of the fleet, at once, but one always: a mistake of this rule must not cost the fleet. */
const DRAINING_SHARE_MAX = 0.1;

export function faultyAmong(
  alive: readonly Standing[],
  /** Instances that are draining for this reason already. */
  drainingAlready: number,
): readonly Standing[] {
  const suspects = alive.filter(
    ({ recentFailed, recentStored }) =>
      recentFailed >= FAILED_MIN && recentFailed > FAILED_SHARE_MIN * (recentFailed + recentStored),
  );
  if (suspects.length === 0) return [];
  const others = alive.filter((one) => !suspects.includes(one) && triesOf(one) > 0);
  const failed = others.reduce((sum, one) => sum + one.recentFailed, 0);
  const tries = others.reduce((sum, one) => sum + triesOf(one), 0);
  const isTheirOwn =
    others.length >= suspects.length &&
    tries >= OTHERS_TRIES_MIN &&
    failed <= OTHERS_FAILED_SHARE_MAX * tries;
  if (!isTheirOwn) return [];
  const room = Math.max(1, Math.floor(alive.length * DRAINING_SHARE_MAX)) - drainingAlready;
  return suspects
    .toSorted((a, b) => shareOf(b) - shareOf(a) || b.recentFailed - a.recentFailed)
    .slice(0, Math.max(0, room));
}

function triesOf({ recentStored, recentFailed }: Standing): number {
  return recentStored + recentFailed;
}

function shareOf(one: Standing): number {
  return one.recentFailed / Math.max(1, triesOf(one));
}
