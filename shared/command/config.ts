/** The environment variables that commands on the storage of a fleet read, such as `npm run poison`. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { z } from 'zod';

import { type Environment, parseEnvironment } from '../runtime/environment.ts';
import { PermanentError } from '../runtime/errors.ts';
import { storageSetting } from '../runtime/service-variables.ts';
import { loadDotEnv } from './dot-env.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const variables = z.object({
  /** Set both, or neither for the local fleet of this folder. */
  FRAMEFLEET_MEDIA_STORAGE: storageSetting.optional(),
  FRAMEFLEET_SYSTEM_STORAGE: storageSetting.optional(),
  FRAMEFLEET_LOCAL_FOLDER: z.string().default(path.join(ROOT, '.framefleet')),
});

export interface StorageCommandConfig {
  /** Undefined if neither variable is set. */
  readonly storage: { readonly media: string; readonly system: string } | undefined;
  readonly localFolder: string;
  readonly environment: Environment;
}

/** Throws CONFIG_INVALID. */
export function storageCommandConfig(): StorageCommandConfig {
  loadDotEnv(ROOT);
  const environment: Environment = process.env;
  const set = parseEnvironment(variables, environment);
  return {
    storage: storageOf(set),
    localFolder: path.resolve(set.FRAMEFLEET_LOCAL_FOLDER),
    environment,
  };
}

function storageOf(set: z.infer<typeof variables>): StorageCommandConfig['storage'] {
  const { FRAMEFLEET_MEDIA_STORAGE: media, FRAMEFLEET_SYSTEM_STORAGE: system } = set;
  if (media === undefined && system === undefined) return undefined;
  if (media !== undefined && system !== undefined) return { media, system };
  const missing = media === undefined ? 'FRAMEFLEET_MEDIA_STORAGE' : 'FRAMEFLEET_SYSTEM_STORAGE';
  throw new PermanentError('CONFIG_INVALID', `${missing} is not set, but the other storage account is.`, {
    hint: 'Set both variables, or neither to use the local fleet of this folder.',
  });
}

/** A path on the command line is relative to the folder that the user typed the command in; npm changes to the project's folder. */
export function callerPath(given: string): string {
  return path.resolve(process.env['INIT_CWD'] ?? process.cwd(), given);
}
