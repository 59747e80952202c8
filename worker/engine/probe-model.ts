/**
 * A tiny model that tests an execution provider: a convolution and a matrix product, which need cuDNN and cuBLAS. PURE.
 *
 * Input [1, 1, 5, 5] and output [1, 2, 3, 2], both float32. All its numbers are small integers, so the result is exact on any
 * device, in any precision. A test generates the same bytes.
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

/** Whether the values are the expected output. */
export function isProbeOutput(values: readonly number[]): boolean {
  return (
    values.length === PROBE_OUTPUT.length &&
    PROBE_OUTPUT.every((expected, index) => Math.abs((values[index] ?? NaN) - expected) <= TOLERANCE)
  );
}
