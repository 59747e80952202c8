/** Every variable that `npm run fetch`, `poison`, `share` and `cap` read, and the storage that they lead to. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { z } from 'zod';

import { loadDotEnv } from '../../shared/command/dot-env.ts';
import { type Environment, parseEnvironment } from '../../shared/runtime/environment.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import { storageSetting } from '../../shared/runtime/service-variables.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const variables = z.object({
  /** Both unset: the local fleet of this folder. */
  FRAMEFLEET_MEDIA_STORAGE: storageSetting.optional(),
  FRAMEFLEET_SYSTEM_STORAGE: storageSetting.optional(),
  FRAMEFLEET_LOCAL_FOLDER: z.string().default(path.join(ROOT, '.framefleet')),
});

export interface CommandConfig {
  /** Undefined where neither is set. */
  readonly storage: { readonly media: string; readonly system: string } | undefined;
  readonly localFolder: string;
  /** The folder the person typed the command in: npm changes to the project's. */
  readonly callerFolder: string;
  readonly environment: Environment;
}

/** Throws CONFIG_INVALID. */
export function commandConfig(): CommandConfig {
  loadDotEnv(ROOT);
  const environment: Environment = process.env;
  const set = parseEnvironment(variables, environment);
  return {
    storage: storageOf(set),
    localFolder: path.resolve(set.FRAMEFLEET_LOCAL_FOLDER),
    callerFolder: environment['INIT_CWD'] ?? process.cwd(),
    environment,
  };
}

function storageOf({
  FRAMEFLEET_MEDIA_STORAGE: media,
  FRAMEFLEET_SYSTEM_STORAGE: system,
}: z.infer<typeof variables>): CommandConfig['storage'] {
  if (media === undefined && system === undefined) return undefined;
  if (media !== undefined && system !== undefined) return { media, system };
  const missing = media === undefined ? 'FRAMEFLEET_MEDIA_STORAGE' : 'FRAMEFLEET_SYSTEM_STORAGE';
  throw new PermanentError(
    'CONFIG_INVALID',
    `The variable ${missing} is not set, but the other account is.`,
    {
      hint: 'Set both, or neither for the local fleet of this folder.',
    },
  );
}
