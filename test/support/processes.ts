/**
 * Every process of a fleet under test: all of them inherit the folder of their fleet in the environment, or work inside it (Redis
 * writes over its own environment), or are told to read or write there (ffmpeg has no environment).
 */
import { readFile, readdir, readlink } from 'node:fs/promises';
import path from 'node:path';

export interface FoundProcess {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

/** Linux only, as the tests are. A fork that is still a copy of its parent is not a process of its own yet. */
export async function processesOf(localFolder: string): Promise<FoundProcess[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map((pid) => look(Number(pid), localFolder)));
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

async function look(pid: number, localFolder: string): Promise<FoundProcess | undefined> {
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
    return undefined; // Gone, or a zombie.
  }
}
