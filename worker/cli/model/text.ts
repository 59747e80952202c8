/** What `npm run model` says of models. PURE. */
import type { ModelManifest } from '../../../shared/contract/model-manifest.ts';
import type { ModelFormat } from '../../import/format.ts';
import type { NumbersFormat } from '../../import/numbers-format.ts';
import type { TrialResult } from '../../import/trial.ts';

/** Characters of a line of numbers that are printed. */
const LINE_MAX = 400;

/** What the graph takes and returns, and what was assumed. */
export function formatText(
  { input, output, assumptions }: ModelFormat,
  { input: taken, output: returned }: ModelManifest,
): string[] {
  const mean = input.mean.some((value) => value !== 0) ? `, mean ${input.mean.join(' ')}` : '';
  const std = input.std.some((value) => value !== 1) ? `, deviation ${input.std.join(' ')}` : '';
  const wanted =
    'kind' in output
      ? numbersText(output)
      : `Output "${output.name}": ${output.type}, ${output.layout}, ${output.channels}, ${output.range}${scaleText(returned)}.`;
  return [
    `Input "${input.name}": ${input.type}, ${input.layout}, ${input.channels}, ${input.range}${mean}${std}; ${sizeText(taken)}.`,
    wanted,
    ...(assumptions.length === 0 ? [] : [`Assumed: ${assumptions.join('; ')}.`]),
  ];
}

function numbersText({ tensors, classes, boxes }: NumbersFormat): string {
  const names = tensors.map(
    ({ name, type, shape }) => `"${name}" (${type}, ${shape.join(' x ') || 'any shape'})`,
  );
  const top = classes && `; the best ${classes.top ?? 5} classes are reported`;
  const found = boxes && `; boxes with a score from ${boxes.scoreMin} on are reported`;
  return `Output: numbers, ${names.join(', ')}${top ?? ''}${found ?? ''}.`;
}

function scaleText(output: ModelManifest['output']): string {
  return 'kind' in output || output.scale === 1 ? '' : `; ${output.scale} times as large`;
}

export function trialText(
  trial: Extract<TrialResult, { kind: 'tried' | 'numbers' }>,
  outputPath: string,
): string[] {
  const { input, seconds } = trial.kind === 'tried' ? trial.main : trial;
  return [
    `A picture of ${input.width} x ${input.height} pixels took ${Math.round(seconds * 1000)} ms on the CPU of this machine.`,
    trial.kind === 'tried'
      ? `Look at the picture, before and after: ${outputPath}`
      : `The model says of it: ${shortened(trial.line)}`,
  ];
}

function shortened(line: string): string {
  return line.length > LINE_MAX ? `${line.slice(0, LINE_MAX)}…` : line;
}

export function modelTable(models: readonly ModelManifest[]): string {
  const rows = models.map(({ name, version, input, output, float16, parameters }) => [
    name,
    version,
    sizeText(input),
    'kind' in output ? 'numbers' : output.scale === 1 ? '' : `x${output.scale}`,
    float16 === undefined ? '' : 'yes',
    Object.entries(parameters)
      .map(([parameter, { values }]) => `${parameter}: ${values.map(({ id }) => id).join(', ')}`)
      .join('; '),
  ]);
  const table = [['NAME', 'VERSION', 'FRAMES', 'OUTPUT', 'FLOAT16', 'PARAMETERS'], ...rows];
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
