/**
 * Any text: every code point, control characters among them. fast-check's own `binary` unit takes a second to set up.
 * No lone surrogates: those are not text.
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
