/**
 * The runs of steps, as the logs of producers tell them at level `debug`. Times are those of the log lines, which all processes of a
 * machine take from the same clock: they only put the lines of several producers in order.
 */
import type { JobStep } from '../../producer/jobs/steps.ts';

/** A line of a producer's log, with the fields that tests read. */
export interface ProducerLine {
  readonly time: string;
  readonly msg: string;
  readonly jobId?: string;
  readonly step?: JobStep;
  readonly newlyScored?: number;
}

export interface ProducerLog {
  readonly lines: readonly ProducerLine[];
  /** Unix time. Undefined if it was not killed. */
  readonly killedAtMs: number | undefined;
}

export interface StepRun {
  readonly step: JobStep;
  readonly jobId: string;
  readonly startedAtMs: number;
  /** Undefined while it runs, or if its producer was killed before its end. */
  readonly end: 'finished' | 'failed' | 'deferred' | undefined;
  /** Whether its end is the last that its producer says of any step. It may have been killed before the end was recorded. */
  readonly isLastWord: boolean;
  readonly log: ProducerLog;
}

const ENDS = { 'step finished': 'finished', 'step failed': 'failed', 'step deferred': 'deferred' } as const;
const isEnd = (msg: string): msg is keyof typeof ENDS => msg in ENDS;
export const isAboutStep = ({ msg }: ProducerLine): boolean => msg === 'step started' || isEnd(msg);

/** The last line of a killed process may be incomplete; it is left out. */
export function linesOf(heard: string): ProducerLine[] {
  return heard.split('\n').flatMap((text) => {
    try {
      return text.startsWith('{') ? [JSON.parse(text) as ProducerLine] : [];
    } catch {
      return [];
    }
  });
}

/** All runs, in the order of their starts. */
export function stepRunsOf(logs: readonly ProducerLog[]): StepRun[] {
  return logs.flatMap(runsIn).sort((a, b) => a.startedAtMs - b.startedAtMs);
}

function runsIn(log: ProducerLog): StepRun[] {
  const lines = log.lines.filter(isAboutStep);
  return lines.flatMap(({ msg, step, jobId, time }, index) => {
    if (msg !== 'step started' || step === undefined || jobId === undefined) return [];
    const isOfStep = (line: ProducerLine): boolean => line.step === step && line.jobId === jobId;
    const endIndex = lines.findIndex((line, later) => later > index && isOfStep(line) && isEnd(line.msg));
    const endMsg = lines[endIndex]?.msg;
    const end = endMsg !== undefined && isEnd(endMsg) ? ENDS[endMsg] : undefined;
    const isLastWord = endIndex === lines.length - 1;
    return [{ step, jobId, startedAtMs: Date.parse(time), end, isLastWord, log }];
  });
}

/**
 * The runs that were followed by another run of the same step although no kill explains it: the producer of the first was alive when
 * the second started, or it had finished the step before. Says the same of two runs at the same time.
 */
export function repeatedWithoutKill(runs: readonly StepRun[]): string[] {
  const bySteps = Map.groupBy(runs, ({ step, jobId }) => `${step} of ${jobId}`);
  return [...bySteps].flatMap(([name, ofStep]) =>
    ofStep.slice(0, -1).flatMap((run, index) => {
      const nextAtMs = ofStep[index + 1]?.startedAtMs ?? 0;
      const isExplained =
        (run.end === undefined || run.isLastWord) && (run.log.killedAtMs ?? Infinity) <= nextAtMs;
      return isExplained ? [] : [`${name} ran again after it ${run.end ?? 'was running'}`];
    }),
  );
}
