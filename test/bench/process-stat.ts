/** CPU time and memory of processes, from `/proc`. Linux only. */
import { readFile, readdir } from 'node:fs/promises';

/** `USER_HZ`, which Linux fixes at 100 for programs. */
const TICKS_PER_SECOND = 100;
const PAGE_KIB = 4;

interface ProcessStat {
  readonly parent: number;
  /** Of all threads, and of all children that have ended and were waited for. */
  readonly cpuSeconds: number;
  readonly residentKib: number;
}

/** Of a process with its descendants; 0 if it has ended. */
export async function cpuSecondsOf(pid: number): Promise<number> {
  return sumOver(await familyOf(pid), ({ cpuSeconds }) => cpuSeconds);
}

async function familyOf(pid: number): Promise<readonly ProcessStat[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const stats = new Map<number, ProcessStat>();
  for (const one of pids) {
    const stat = await statOf(one);
    if (stat !== undefined) stats.set(one, stat);
  }
  const isInside = (one: number): boolean => {
    for (let at: number | undefined = one; at !== undefined && at > 1; at = stats.get(at)?.parent)
      if (at === pid) return true;
    return false;
  };
  return [...stats].filter(([one]) => isInside(one)).map(([, stat]) => stat);
}

/** A process by itself; undefined if it has ended. */
export async function statOf(pid: number): Promise<ProcessStat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  // The name may contain spaces and parentheses. After it: state, parent, …, utime, stime, cutime, cstime, …, rss.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return {
    parent: Number(fields[1]),
    cpuSeconds: ticks / TICKS_PER_SECOND,
    residentKib: Number(fields[21]) * PAGE_KIB,
  };
}

function sumOver(stats: readonly ProcessStat[], value: (stat: ProcessStat) => number): number {
  return stats.reduce((sum, stat) => sum + value(stat), 0);
}
