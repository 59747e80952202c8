/**
 * Every process of a fleet under test: all of them inherit the folder of their fleet in the environment, or (Redis writes
 * over its own) work inside it.
 */
import { readFile, readdir, readlink } from 'node:fs/promises';
import path from 'node:path';

export interface FoundProcess {
  readonly pid: number;
  readonly command: string;
}

/** Linux only, as the tests are. */
export async function processesOf(localFolder: string): Promise<FoundProcess[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map((pid) => look(Number(pid), localFolder)));
  return found.filter((one) => one !== undefined);
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
    const [environment, command, workFolder] = await Promise.all([
      readFile(`/proc/${pid}/environ`, 'utf8'),
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
      readlink(`/proc/${pid}/cwd`),
    ]);
    const isInside = workFolder.startsWith(`${localFolder}${path.sep}`);
    if (!isInside && !environment.split('\0').includes(`FRAMEFLEET_LOCAL_FOLDER=${localFolder}`))
      return undefined;
    return { pid, command: command.replaceAll('\0', ' ').trim() };
  } catch {
    return undefined; // Gone, or a zombie.
  }
}
