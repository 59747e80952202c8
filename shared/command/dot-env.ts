/** Settings that a person keeps in a file: for the commands, not for the service. */
import path from 'node:path';

import { errnoOf } from '../runtime/errors.ts';

/** `.env` in the project's folder, where there is one, fills in what is not set: `terraform output -raw env > .env`. */
export function loadDotEnv(projectFolder: string): void {
  try {
    process.loadEnvFile(path.join(projectFolder, '.env'));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}
