/**
 * Generates any text, including control characters but no lone surrogates. Faster than fast-check's own `binary` unit, which takes
 * a second to set up.
 */
import * as fc from 'fast-check';

const codePoints = fc.oneof(
  fc.integer({ min: 0, max: 0xff }),
  fc.integer({ min: 0x100, max: 0xd7ff }),
  fc.integer({ min: 0xe000, max: 0x10ffff }),
);

export function anyText(length: fc.StringConstraints = {}): fc.Arbitrary<string> {
  return fc.string({ ...length, unit: codePoints.map((point) => String.fromCodePoint(point)) });
}
