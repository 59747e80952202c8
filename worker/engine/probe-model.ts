/**
 * A model too small to matter and large enough to tell: a convolution and a matrix product, what cuDNN and cuBLAS are for. PURE.
 *
 * Input [1, 1, 5, 5] and output [1, 2, 3, 2], both float32. All its numbers are small and whole: exact on any device, in any
 * precision. A test writes the same bytes again.
 */
export const PROBE_MODEL = Buffer.from(
  'CAg6qwISBG1haW5aHwoFaW5wdXQSFgoUCAESEAoCCAEKAggBCgIIBQoCCAViIAoGb3V0cHV0EhYKFAgBEhAKAggBCgIIAgoCCAMKAggCKlwI' +
    'AggBCAMIAxABQgZrZXJuZWxKSAAAAMAAAIC/AAAAAAAAgD8AAABAAAAAwAAAgL8AAAAAAACAPwAAAEAAAADAAACAvwAAAAAAAIA/AAAAQAAA' +
    'AMAAAIC/AAAAACooCAMIAhABQgZtYXRyaXhKGAAAQMAAAADAAACAvwAAAAAAAIA/AAAAQAorCgVpbnB1dAoGa2VybmVsEgljb252b2x2ZWQa' +
    'CWNvbnZvbHZlZCIEQ29udgorCgljb252b2x2ZWQKBm1hdHJpeBIGb3V0cHV0GgZvdXRwdXQiBk1hdE11bEICEBE=',
  'base64',
);

export const PROBE_INPUT = {
  values: Float32Array.from({ length: 25 }, (_, index) => index % 4),
  dims: [1, 1, 5, 5],
} as const;

export const PROBE_OUTPUT: readonly number[] = [6, 0, -8, -16, 14, 0, 16, 4, 31, 28, -6, -4];

const TOLERANCE = 1e-3;

/** Whether a device has calculated right. */
export function isProbeOutput(values: readonly number[]): boolean {
  return (
    values.length === PROBE_OUTPUT.length &&
    PROBE_OUTPUT.every((expected, index) => Math.abs((values[index] ?? NaN) - expected) <= TOLERANCE)
  );
}
