/**
 * Finds every process of a fleet under test. A process belongs to the fleet if it inherits the folder of the fleet in its
 * environment, runs in that folder (Redis overwrites its environment), or has it in its arguments (ffmpeg has no environment).
 */
import { readFile, readdir, readlink } from 'node:fs/promises';
import path from 'node:path';

import { eventually } from './eventually.ts';

export interface FoundProcess {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

/** Linux only, like the tests. Skips a fork that has not yet replaced the program of its parent. */
export async function processesOf(localFolder: string): Promise<FoundProcess[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map((pid) => inspect(Number(pid), localFolder)));
  const processes = found.filter((one) => one !== undefined);
  const commandOf = new Map(processes.map(({ pid, command }) => [pid, command]));
  return processes.filter(({ parent, command }) => commandOf.get(parent) !== command);
}

export async function findProcess(
  localFolder: string,
  commandPart: string,
): Promise<FoundProcess | undefined> {
  const processes = await processesOf(localFolder);
  return processes.find(({ command }) => command.includes(commandPart));
}

export async function workersOf(localFolder: string): Promise<FoundProcess[]> {
  return (await processesOf(localFolder)).filter(({ command }) => command.includes('worker/main.ts'));
}

/** Waits until the fleet has so many workers. */
export async function workersAre(localFolder: string, count: number): Promise<void> {
  await eventually(`there are ${count} workers`, async () => (await workersOf(localFolder)).length === count);
}

async function inspect(pid: number, localFolder: string): Promise<FoundProcess | undefined> {
  try {
    const [environment, command, status, workFolder] = await Promise.all([
      readFile(`/proc/${pid}/environ`, 'utf8'),
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
      readFile(`/proc/${pid}/status`, 'utf8'),
      readlink(`/proc/${pid}/cwd`),
    ]);
    const isInside = workFolder.startsWith(`${localFolder}${path.sep}`) || command.includes(localFolder);
    if (!isInside && !environment.split('\0').includes(`FRAMEFLEET_LOCAL_FOLDER=${localFolder}`))
      return undefined;
    const parent = Number(/^PPid:\t(?<parent>\d+)$/m.exec(status)?.groups?.['parent']);
    return { pid, parent, command: command.replaceAll('\0', ' ').trim() };
  } catch {
    return undefined; // It has ended, or it is a zombie.
  }
}
