/** What `npm run model` says of models. PURE. */
import type { ModelManifest } from '../../../shared/contract/model-manifest.ts';
import type { ModelFormat } from '../../import/format.ts';
import type { TrialResult } from '../../import/trial.ts';

/** What the graph takes and returns, and what was assumed. */
export function formatText(
  { input, output, assumptions }: ModelFormat,
  { input: taken, output: returned }: ModelManifest,
): string[] {
  const mean = input.mean.some((value) => value !== 0) ? `, mean ${input.mean.join(' ')}` : '';
  const std = input.std.some((value) => value !== 1) ? `, deviation ${input.std.join(' ')}` : '';
  return [
    `Input "${input.name}": ${input.type}, ${input.layout}, ${input.channels}, ${input.range}${mean}${std}; ${sizeText(taken)}.`,
    `Output "${output.name}": ${output.type}, ${output.layout}, ${output.channels}, ${output.range}${returned.scale === 1 ? '' : `; ${returned.scale} times as large`}.`,
    ...(assumptions.length === 0 ? [] : [`Assumed: ${assumptions.join('; ')}.`]),
  ];
}

export function trialText({ main }: Extract<TrialResult, { kind: 'tried' }>, outputPath: string): string[] {
  const milliseconds = Math.round(main.seconds * 1000);
  return [
    `A picture of ${main.input.width} x ${main.input.height} pixels took ${milliseconds} ms on the CPU of this machine.`,
    `Look at the picture, before and after: ${outputPath}`,
  ];
}

export function modelTable(models: readonly ModelManifest[]): string {
  const rows = models.map(({ name, version, input, output, parameters }) => [
    name,
    version,
    sizeText(input),
    output.scale === 1 ? '' : `x${output.scale}`,
    Object.entries(parameters)
      .map(([parameter, { values }]) => `${parameter}: ${values.map(({ id }) => id).join(', ')}`)
      .join('; '),
  ]);
  const table = [['name', 'version', 'frames', 'output', 'parameters'], ...rows];
  const widths =
    table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
  return table
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function sizeText({ size, fit }: ModelManifest['input']): string {
  if (size === 'any') return 'any size';
  if ('multipleOf' in size) return `sides that are multiples of ${size.multipleOf}`;
  return `${size.width} x ${size.height}, ${fit === 'letterbox' ? 'with bars' : 'stretched'}`;
}
