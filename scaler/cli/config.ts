/** Every variable that `npm run scale` and `npm run explain` read. */
import { hostname, userInfo } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { z } from 'zod';

import { loadDotEnv } from '../../shared/command/dot-env.ts';
import { type Environment, parseEnvironment } from '../../shared/runtime/environment.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const variables = z.object({
  /** Unset: the scaler of this folder's local fleet. */
  FRAMEFLEET_SCALER_URL: z.url({ protocol: /^https?$/ }).optional(),
  FRAMEFLEET_SCALER_TOKEN: z.string().min(1).optional(),
  FRAMEFLEET_LOCAL_FOLDER: z.string().default(path.join(ROOT, '.framefleet')),
});

/** Throws CONFIG_INVALID. */
export function scalerCommandConfig() {
  loadDotEnv(ROOT);
  const environment: Environment = process.env;
  const set = parseEnvironment(variables, environment);
  return {
    url: set.FRAMEFLEET_SCALER_URL,
    token: set.FRAMEFLEET_SCALER_TOKEN,
    localFolder: path.resolve(set.FRAMEFLEET_LOCAL_FOLDER),
    /** The default of `--author`. */
    author: `${userName(environment)}@${hostname()}`.slice(0, 100),
  };
}
export type ScalerCommandConfig = Readonly<ReturnType<typeof scalerCommandConfig>>;

/** Inside a container the user may have no name. */
function userName(environment: Environment): string {
  try {
    return userInfo().username;
  } catch {
    return environment['USER'] ?? 'unknown';
  }
}
