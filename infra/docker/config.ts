/** Every environment variable that `prepare.ts` reads. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { z } from 'zod';

import { type Environment, parseEnvironment } from '../../shared/runtime/environment.ts';
import { serviceVariables, storageSetting } from '../../shared/runtime/service-variables.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const variables = z.object({
  FRAMEFLEET_LOG_LEVEL: serviceVariables.FRAMEFLEET_LOG_LEVEL,
  FRAMEFLEET_MEDIA_STORAGE: storageSetting,
  FRAMEFLEET_SYSTEM_STORAGE: storageSetting,
});

/** Throws CONFIG_INVALID. */
export function prepareConfig(environment: Environment = process.env) {
  const set = parseEnvironment(variables, environment);
  return {
    logLevel: set.FRAMEFLEET_LOG_LEVEL,
    mediaStorage: set.FRAMEFLEET_MEDIA_STORAGE,
    systemStorage: set.FRAMEFLEET_SYSTEM_STORAGE,
    modelFolder: path.join(ROOT, 'worker', 'models'),
  };
}
