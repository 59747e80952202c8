import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { matroskaFrame, matroskaHeader } from '../../../producer/media/matroska.ts';

interface Element {
  readonly id: string;
  readonly content: Buffer;
}

/** Parses sibling elements. An element of unknown size extends to the end. */
function elementsOf(bytes: Buffer): Element[] {
  const elements: Element[] = [];
  let rest = bytes;
  while (rest.length > 0) {
    const idLength = Math.clz32(rest.readUInt8(0)) - 23;
    const sizeLength = Math.clz32(rest.readUInt8(idLength)) - 23;
    const marked = BigInt(`0x${rest.toString('hex', idLength, idLength + sizeLength)}`);
    const mask = (1n << BigInt(7 * sizeLength)) - 1n;
    const start = idLength + sizeLength;
    const end = (marked & mask) === mask ? rest.length : start + Number(marked & mask);
    expect(end).toBeLessThanOrEqual(rest.length);
    elements.push({ id: rest.toString('hex', 0, idLength), content: rest.subarray(start, end) });
    rest = rest.subarray(end);
  }
  return elements;
}

function find(elements: readonly Element[], id: string): Buffer {
  const found = elements.find((element) => element.id === id);
  if (found === undefined) throw new Error(`no element ${id}`);
  return found.content;
}

test('the header opens a segment of unknown size with nanosecond ticks and one JPEG track', () => {
  const [ebml, segment, ...others] = elementsOf(
    matroskaHeader({ width: 641, height: 70_000, frameNanoseconds: 40_000_000.4 }),
  );
  expect(others).toEqual([]);
  expect(ebml?.id).toBe('1a45dfa3');
  expect(find(elementsOf(ebml?.content ?? Buffer.of()), '4282').toString()).toBe('matroska');
  expect(segment?.id).toBe('18538067');

  const parts = elementsOf(segment?.content ?? Buffer.of());
  expect(find(elementsOf(find(parts, '1549a966')), '2ad7b1').toString('hex')).toBe('01');
  const track = elementsOf(find(elementsOf(find(parts, '1654ae6b')), 'ae'));
  expect(find(track, '86').toString()).toBe('V_MJPEG');
  expect(find(track, '23e383').readUInt32BE()).toBe(40_000_000);
  const size = elementsOf(find(track, 'e0'));
  expect(find(size, 'b0').readUInt16BE()).toBe(641);
  expect(find(size, 'ba').readUIntBE(0, 3)).toBe(70_000);
});

test('a frame is one cluster with its timestamp and its bytes, which are not copied', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }),
      fc.uint8Array(),
      (timestampNanoseconds, jpeg) => {
        const written = matroskaFrame(timestampNanoseconds, jpeg);
        expect(written.at(-1)).toBe(jpeg);

        const [cluster, ...others] = elementsOf(Buffer.concat(written));
        expect(others).toEqual([]);
        expect(cluster?.id).toBe('1f43b675');
        const parts = elementsOf(cluster?.content ?? Buffer.of());
        expect(BigInt(`0x${find(parts, 'e7').toString('hex')}`)).toBe(timestampNanoseconds);
        const block = find(parts, 'a3');
        expect(block.toString('hex', 0, 4)).toBe('81000080');
        expect(block.subarray(4).equals(jpeg)).toBe(true);
      },
    ),
  );
});

test('a negative timestamp is rejected', () => {
  expect(() => matroskaFrame(-1n, Buffer.of())).toThrow(RangeError);
});
