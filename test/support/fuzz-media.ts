/** Small clips with random bytes changed, in their headers or in their media data. Reproducible from a seed. */
import type { SeededRandom } from './seeded-random.ts';

export type MediaRegion = 'header' | 'body';

export interface FuzzedClip {
  readonly bytes: Buffer;
  /** What was changed, for the message of a failing test. */
  readonly how: string;
}

/** This many bytes from each end count as header: boxes, segment information, stream lists, program tables. */
const HEADER_BYTES = 1_200;
const FLIPS_MAX = 24;

/** A copy of the clip, of the same length, with up to 24 bytes changed. */
export function fuzzedClip(clip: Buffer, region: MediaRegion, random: SeededRandom): FuzzedClip {
  const bytes = Buffer.from(clip);
  const flips = 1 + Math.floor(random() ** 2 * FLIPS_MAX);
  const positions: number[] = [];
  for (let count = 0; count < flips; count += 1) {
    const at = positionIn(region, bytes.length, random);
    bytes[at] = changed(bytes[at] ?? 0, random);
    positions.push(at);
  }
  return { bytes, how: `${region}, bytes ${positions.join(' ')}` };
}

function positionIn(region: MediaRegion, length: number, random: SeededRandom): number {
  const edge = Math.min(HEADER_BYTES, Math.floor(length / 3));
  if (region === 'body') return edge + Math.floor(random() * (length - 2 * edge));
  // An .mp4 has its index after its media data, an .mkv before it.
  const at = Math.floor(random() * 2 * edge);
  return at < edge ? at : length - 1 - (at - edge);
}

/** One bit flipped, or a value that often breaks lengths and counts. */
function changed(byte: number, random: SeededRandom): number {
  const choice = Math.floor(random() * 12);
  if (choice < 8) return byte ^ (1 << choice);
  return [0x00, 0xff, 0x7f, 0x80][choice - 8] ?? 0;
}
