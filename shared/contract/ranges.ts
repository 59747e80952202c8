/** Sets of frame indices as half-open ranges `[start, end)`, the form that messages use. PURE. */
export type FrameRange = readonly [start: number, end: number];

/** Returns the fewest possible ranges, ascending and disjoint. Accepts any order, and duplicates. */
export function toRanges(frameIndices: Iterable<number>): FrameRange[] {
  const ranges: [number, number][] = [];
  for (const index of [...new Set(frameIndices)].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last?.[1] === index) last[1] = index + 1;
    else ranges.push([index, index + 1]);
  }
  return ranges;
}

/** The first and the last frame: `12-14`; `20` for a single one. */
export function rangeText([start, end]: FrameRange): string {
  return end - start === 1 ? String(start) : `${start}-${end - 1}`;
}

export function* indicesOf(ranges: Iterable<FrameRange>): Generator<number> {
  for (const [start, end] of ranges) for (let index = start; index < end; index += 1) yield index;
}

export function countOf(ranges: readonly FrameRange[]): number {
  return ranges.reduce((count, [start, end]) => count + end - start, 0);
}
