/** What the local stack reads of its surroundings. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { z } from 'zod';

import { type Environment, parseEnvironment } from '../../shared/runtime/environment.ts';
import { LOG_LEVELS } from '../../shared/runtime/log.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const variables = z.object({
  /** Where the local fleet keeps everything. */
  FRAMEFLEET_LOCAL_FOLDER: z.string().default(path.join(ROOT, '.framefleet')),
  FRAMEFLEET_LOG_LEVEL: z.enum(LOG_LEVELS).optional(),
});

export function localConfig(environment: Environment = process.env) {
  const set = parseEnvironment(variables, environment);
  return {
    folder: path.resolve(set.FRAMEFLEET_LOCAL_FOLDER),
    logLevel: set.FRAMEFLEET_LOG_LEVEL ?? 'warn',
    environment,
  };
}
