/**
 * Keeps a result that could not be written where it was to go. In a fleet that stays up it stands in `results`; a fleet of this
 * command's own is deleted with it, so the result is saved first, wherever there is room.
 */
import { mkdir } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';

import { PermanentError } from '../../shared/runtime/errors.ts';
import { type Download, download } from '../commands/output.ts';
import type { ReachedFleet } from './reach-fleet.ts';

export interface LostOutput extends Omit<Download, 'outputPath' | 'mayOverwrite'> {
  readonly jobId: string;
  readonly fleet: ReachedFleet;
  readonly localFolder: string;
  /** What went wrong: an OUTPUT_NOT_WRITABLE. */
  readonly error: PermanentError;
}

/** The error to tell: what went wrong, where the result is, and how to get it. */
export async function keepResult(lost: LostOutput): Promise<PermanentError> {
  const { jobId, fleet, blobName, error } = lost;
  if (fleet.kind !== 'private') {
    return kept(error, `results/${blobName}`, `Fetch it: npm run fetch ${jobId} -- --out PATH`);
  }
  const name = path.basename(blobName);
  const folders = [path.join(lost.localFolder, 'kept'), path.join(tmpdir(), 'framefleet-kept'), homedir()];
  for (const folder of folders) {
    const outputPath = path.join(folder, jobId, name);
    try {
      await mkdir(path.dirname(outputPath), { recursive: true });
      await download({ ...lost, outputPath, mayOverwrite: true });
      return kept(error, outputPath, 'Move it to where you want it.');
    } catch (failure) {
      if (lost.signal.aborted) throw failure;
      // There is no room here, either.
    }
  }
  return new PermanentError(
    'OUTPUT_NOT_WRITABLE',
    `${error.message} There was no room for it in ${folders.join(', ')} either.`,
    {
      hint: 'Free some disk space and run the command again.',
      cause: error,
    },
  );
}

function kept(error: PermanentError, place: string, how: string): PermanentError {
  return new PermanentError(
    error.code,
    `${error.message} The job is completed, and its result is kept: ${place}`,
    {
      hint: how,
      cause: error,
      details: { kept: place },
    },
  );
}
