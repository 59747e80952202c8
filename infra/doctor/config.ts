/** Every environment variable that `npm run doctor` reads. They select the fleet to check. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { z } from 'zod';

import { loadDotEnv } from '../../shared/command/dot-env.ts';
import { parseEnvironment } from '../../shared/runtime/environment.ts';
import { scaleSetsSetting, storageSetting } from '../../shared/runtime/service-variables.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const variables = z.object({
  /** Unset: the local fleet. */
  FRAMEFLEET_MEDIA_STORAGE: storageSetting.optional(),
  /** Unset: only uploading and fetching are checked. */
  FRAMEFLEET_SYSTEM_STORAGE: storageSetting.optional(),
  FRAMEFLEET_LOCAL_FOLDER: z.string().default(path.join(ROOT, '.framefleet')),
  FRAMEFLEET_SCALER_URL: z.url({ protocol: /^https?$/ }).optional(),
  /** The scale sets; unset: they are not checked. */
  FRAMEFLEET_SUBSCRIPTION_ID: z.guid().optional(),
  FRAMEFLEET_RESOURCE_GROUP: z.string().min(1).max(90).optional(),
  FRAMEFLEET_SCALE_SETS: scaleSetsSetting.optional(),
  /** The number of VMs that the quota should allow. */
  FRAMEFLEET_CAPACITY_MAX: z.coerce.number().int().min(0).max(1000).default(1),
});

/** Throws CONFIG_INVALID. */
export function doctorConfig() {
  loadDotEnv(ROOT);
  const environment = process.env;
  const set = parseEnvironment(variables, environment);
  return {
    mediaStorage: set.FRAMEFLEET_MEDIA_STORAGE,
    systemStorage: set.FRAMEFLEET_SYSTEM_STORAGE,
    localFolder: path.resolve(set.FRAMEFLEET_LOCAL_FOLDER),
    scalerUrl: set.FRAMEFLEET_SCALER_URL,
    subscriptionId: set.FRAMEFLEET_SUBSCRIPTION_ID,
    resourceGroup: set.FRAMEFLEET_RESOURCE_GROUP,
    scaleSets: set.FRAMEFLEET_SCALE_SETS,
    instances: Math.max(1, set.FRAMEFLEET_CAPACITY_MAX),
    /** The variables that the Azure SDKs read. */
    isProxied: ['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy'].some(
      (name) => (environment[name] ?? '') !== '',
    ),
    environment,
  };
}
export type DoctorConfig = Readonly<ReturnType<typeof doctorConfig>>;
