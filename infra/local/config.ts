/** Every environment variable that the local fleet reads. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { z } from 'zod';

import { ownModelsFolder } from '../../shared/command/own-models.ts';
import { type Environment, parseEnvironment } from '../../shared/runtime/environment.ts';
import { LOG_LEVELS } from '../../shared/runtime/log.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const variables = z.object({
  /** The folder of the local fleet. */
  FRAMEFLEET_LOCAL_FOLDER: z.string().default(path.join(ROOT, '.framefleet')),
  /** A folder with one subfolder per model. They are published to local fleets in addition to the painter and to models added with `npm run model`. */
  FRAMEFLEET_LOCAL_MODELS: z.string().optional(),
  FRAMEFLEET_LOG_LEVEL: z.enum(LOG_LEVELS).optional(),
  /** `off`: the fleet of `npm start` has no web page. */
  FRAMEFLEET_PAGE: z.enum(['off', 'token']).default('token'),
});

export function localConfig(environment: Environment = process.env) {
  const set = parseEnvironment(variables, environment);
  const folder = path.resolve(set.FRAMEFLEET_LOCAL_FOLDER);
  const others = set.FRAMEFLEET_LOCAL_MODELS;
  return {
    folder,
    modelFolders: [
      path.join(ROOT, 'worker', 'models'),
      ...(existsSync(ownModelsFolder(folder)) ? [ownModelsFolder(folder)] : []),
      ...(others === undefined ? [] : [path.resolve(others)]),
    ],
    logLevel: set.FRAMEFLEET_LOG_LEVEL ?? 'warn',
    hasPage: set.FRAMEFLEET_PAGE === 'token',
    environment,
  };
}
