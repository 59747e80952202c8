/** Reads settings from a file, for commands. Services take their settings from the environment only. */
import path from 'node:path';

import { errnoOf } from '../runtime/errors.ts';

/** Sets the variables of `.env` in the project's folder that are not set yet: `terraform output -raw env > .env` writes one. */
export function loadDotEnv(projectFolder: string): void {
  try {
    process.loadEnvFile(path.join(projectFolder, '.env'));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}
