/** Every variable `npm run scale` and `npm run explain` read. */
import { hostname, userInfo } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { z } from 'zod';

import { loadDotEnv } from '../../shared/command/dot-env.ts';
import { type Environment, parseEnvironment } from '../../shared/runtime/environment.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const variables = z.object({
  /** Where the scaler serves; unset: that of the local fleet of this folder. */
  FRAMEFLEET_SCALER_URL: z.url({ protocol: /^https?$/ }).optional(),
  FRAMEFLEET_SCALER_TOKEN: z.string().min(1).optional(),
  FRAMEFLEET_LOCAL_FOLDER: z.string().default(path.join(ROOT, '.framefleet')),
});

/** Throws CONFIG_INVALID. */
export function commandConfig() {
  loadDotEnv(ROOT);
  const environment: Environment = process.env;
  const set = parseEnvironment(variables, environment);
  return {
    url: set.FRAMEFLEET_SCALER_URL,
    token: set.FRAMEFLEET_SCALER_TOKEN,
    localFolder: path.resolve(set.FRAMEFLEET_LOCAL_FOLDER),
    /** Who types, where nobody else is named. */
    author: `${userName(environment)}@${hostname()}`.slice(0, 100),
  };
}
export type CommandConfig = Readonly<ReturnType<typeof commandConfig>>;

/** Inside a container a user may have no name. */
function userName(environment: Environment): string {
  try {
    return userInfo().username;
  } catch {
    return environment['USER'] ?? 'somebody';
  }
}
