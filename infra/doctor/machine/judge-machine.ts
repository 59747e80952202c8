/** PURE. Judges whether this machine has enough disk, memory and cores for the local fleet. */
import type { Finding } from '../../../shared/contract/finding.ts';
import { WORKER_BYTES_ON_CPU } from '../../../shared/contract/limits.ts';
import { errorFinding, okFinding, warningFinding } from '../finding.ts';

const GIB = 2 ** 30;

/** The memory of the fleet without its workers. */
const FLEET_BYTES = 0.75 * GIB;
/** With less, even a small video fails. */
const MEMORY_BYTES_MIN = 1 * GIB;
/** One minute of full HD at 30 frames/s takes about 1 GB: 1,800 frames of 300 KB, each stored before and after the model. */
const DISK_BYTES_MIN = 1 * GIB;
const DISK_BYTES_EASY = 10 * GIB;

export interface LocalMachineReading {
  readonly cores: number;
  readonly memoryFreeBytes: number;
  readonly diskFreeBytes: number;
  /** The folder of the local fleet. */
  readonly folder: string;
  readonly isWritable: boolean;
}

export function judgeMachine(reading: LocalMachineReading): Finding[] {
  const { cores, memoryFreeBytes } = reading;
  return [judgeDisk(reading), judgeMemory(memoryFreeBytes), judgeCores(cores)];
}

function judgeDisk({ diskFreeBytes: freeBytes, folder, isWritable }: LocalMachineReading): Finding {
  const message = `${gib(freeBytes)} free for ${folder}`;
  const hint = 'Free some space, or use another folder: FRAMEFLEET_LOCAL_FOLDER=/path/with/space';
  if (!isWritable)
    return errorFinding(
      'disk',
      `${folder} is not writable`,
      'Use another folder: FRAMEFLEET_LOCAL_FOLDER=/path/to/folder',
    );
  if (freeBytes < DISK_BYTES_MIN) return errorFinding('disk', `${message}: not enough for a job`, hint);
  if (freeBytes < DISK_BYTES_EASY)
    return warningFinding(
      'disk',
      `${message}: enough for about ${Math.floor(freeBytes / GIB)} minutes of full HD`,
      hint,
    );
  return okFinding('disk', message);
}

function judgeMemory(freeBytes: number): Finding {
  const workers = Math.floor((freeBytes - FLEET_BYTES) / WORKER_BYTES_ON_CPU);
  const message = `${gib(freeBytes)} free`;
  if (freeBytes < MEMORY_BYTES_MIN)
    return errorFinding(
      'memory',
      `${message}: a worker needs ${gib(WORKER_BYTES_ON_CPU)} and the rest of the fleet ${gib(FLEET_BYTES)}`,
      'Close other programs, or use a machine with more memory.',
    );
  if (workers < 2)
    return warningFinding(
      'memory',
      workers < 1 ? `${message}: not enough for a large video` : `${message}: enough for one worker`,
      'Close other programs, or limit the fleet to one worker: FRAMEFLEET_CAPACITY_MAX=1',
    );
  return okFinding('memory', `${message}: enough for ${workers} workers`);
}

function judgeCores(cores: number): Finding {
  return cores < 2
    ? warningFinding(
        'cores',
        '1 core: ffmpeg and the model share it',
        'Jobs run slowly. Try a short video first.',
      )
    : okFinding('cores', `${cores} cores`);
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}
