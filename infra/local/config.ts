/** Every environment variable that the local fleet reads. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { z } from 'zod';

import { type Environment, parseEnvironment } from '../../shared/runtime/environment.ts';
import { LOG_LEVELS } from '../../shared/runtime/log.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const variables = z.object({
  /** The folder of the local fleet. */
  FRAMEFLEET_LOCAL_FOLDER: z.string().default(path.join(ROOT, '.framefleet')),
  /** A folder with one subfolder per model. They are published to the local fleet in addition to the painter. */
  FRAMEFLEET_LOCAL_MODELS: z.string().optional(),
  FRAMEFLEET_LOG_LEVEL: z.enum(LOG_LEVELS).optional(),
});

export function localConfig(environment: Environment = process.env) {
  const set = parseEnvironment(variables, environment);
  const own = set.FRAMEFLEET_LOCAL_MODELS;
  return {
    folder: path.resolve(set.FRAMEFLEET_LOCAL_FOLDER),
    modelFolders: [path.join(ROOT, 'worker', 'models'), ...(own === undefined ? [] : [path.resolve(own)])],
    logLevel: set.FRAMEFLEET_LOG_LEVEL ?? 'warn',
    environment,
  };
}
