/** PURE. Whether this machine has what the local fleet takes: thresholds with their reasons. */
import type { Finding } from '../../../shared/contract/finding.ts';
import { WORKER_BYTES_ON_CPU } from '../../../shared/contract/limits.ts';
import { right, warning, wrong } from '../finding.ts';

const GIB = 2 ** 30;

/** What the fleet takes beside its workers. */
const FLEET_BYTES = 0.75 * GIB;
/** With less than this not even a small video gets through. */
const MEMORY_BYTES_MIN = 1 * GIB;
/** A minute of full HD at 30 frames a second is about 1 GB: frames of 300 KB, as they were and as they become. */
const DISK_BYTES_MIN = 1 * GIB;
const DISK_BYTES_EASY = 10 * GIB;

export interface MachineReading {
  readonly cores: number;
  readonly memoryFreeBytes: number;
  readonly diskFreeBytes: number;
  /** Where it was looked. */
  readonly folder: string;
  readonly isWritable: boolean;
}

export function judgeMachine(reading: MachineReading): Finding[] {
  const { cores, memoryFreeBytes } = reading;
  return [judgeDisk(reading), judgeMemory(memoryFreeBytes), judgeCores(cores)];
}

function judgeDisk({ diskFreeBytes: freeBytes, folder, isWritable }: MachineReading): Finding {
  const says = `${gib(freeBytes)} free for ${folder}`;
  const todo = 'Make room there, or keep the fleet elsewhere: FRAMEFLEET_LOCAL_FOLDER=/path/with/room';
  if (!isWritable)
    return wrong(
      'disk',
      `nothing may be written to ${folder}`,
      'Keep the fleet elsewhere: FRAMEFLEET_LOCAL_FOLDER=/path/that/is/yours',
    );
  if (freeBytes < DISK_BYTES_MIN) return wrong('disk', `${says}: a job would fill it`, todo);
  if (freeBytes < DISK_BYTES_EASY)
    return warning(
      'disk',
      `${says}: enough for about ${Math.floor(freeBytes / GIB)} minutes of full HD`,
      todo,
    );
  return right('disk', says);
}

function judgeMemory(freeBytes: number): Finding {
  const workers = Math.floor((freeBytes - FLEET_BYTES) / WORKER_BYTES_ON_CPU);
  const says = `${gib(freeBytes)} free`;
  if (freeBytes < MEMORY_BYTES_MIN)
    return wrong(
      'memory',
      `${says}: a worker takes ${gib(WORKER_BYTES_ON_CPU)}, the rest of the fleet ${gib(FLEET_BYTES)}`,
      'Close something, or use a machine with more memory.',
    );
  if (workers < 2)
    return warning(
      'memory',
      workers < 1 ? `${says}: not enough for a worker at a large video` : `${says}: enough for one worker`,
      'Close something; or have one worker only: FRAMEFLEET_CAPACITY_MAX=1',
    );
  return right('memory', `${says}: enough for ${workers} workers`);
}

function judgeCores(cores: number): Finding {
  return cores < 2
    ? warning(
        'cores',
        'one core: ffmpeg and the model take turns',
        'It works, slowly: try a short video first.',
      )
    : right('cores', `${cores} cores`);
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}
