/** An estimate as text: the job, a table by number of machines, and what the figures rest on. PURE. */
import { clockTime, countedText, safeText, textTable } from '../../../shared/command/text.ts';
import type { JobSettings } from '../../../shared/contract/job.ts';
import type { SourceEstimate } from './estimate-source.ts';

const HEADER = ['MACHINES', 'TIME', 'GPU HOURS', 'WORK', 'BOOT', 'IDLE', 'COST'];

export interface EstimateTextOptions {
  readonly sourceName: string;
  readonly settings: Pick<JobSettings, 'model' | 'parameters'>;
  readonly isVideo: boolean;
}

export function estimateText(
  { frames, batches, machinesWanted, machinesMax, source, wallSeconds, basis }: SourceEstimate,
  { sourceName, settings, isVideo }: EstimateTextOptions,
): string {
  const rows = wallSeconds.map(({ machines, machinesUsed, seconds, machineSeconds, money }) => {
    const { total, work, boot, idle } = machineSeconds;
    const used = machinesUsed < machines ? `${machines} (${machinesUsed} used)` : String(machines);
    return [used, clockTime(seconds), ...[total, work, boot, idle].map(hoursText), moneyText(money)];
  });
  const { style } = settings.parameters;
  const model = style === undefined ? settings.model.name : `${settings.model.name} (${style})`;
  const what = countedText(frames, isVideo ? 'frame' : 'image');
  const size = `${source.megapixelsPerFrame.toPrecision(2)} megapixels`;
  const most = wallSeconds.some(({ machines }) => machines > machinesMax)
    ? [`The fleet may have ${machinesMax} machines at most.`]
    : [];
  return [
    safeText(
      `${sourceName}: ${what} of ${size}, ${model}, ${batches} ${batches === 1 ? 'batch' : 'batches'}`,
    ),
    textTable(HEADER, rows),
    `By itself, the fleet starts ${countedText(machinesWanted, 'machine')} for this job if it does nothing else.`,
    ...most,
    `${basis} The fleet is assumed to be at zero; the upload is not included.`,
  ].join('\n');
}

/** `0.0132`, `1.45`, `120`: three digits. */
function hoursText(seconds: number): string {
  const hours = seconds / 3600;
  return hours >= 100 ? String(Math.round(hours)) : String(Number(hours.toPrecision(3)));
}

function moneyText(money: number | null): string {
  return money === null ? 'no prices' : String(Number(money.toPrecision(3)));
}
