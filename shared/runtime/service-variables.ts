/** The environment variables that several services share, read by the configuration of each room. */
import { z } from 'zod';

import { listSetting, wholeNumber } from './environment.ts';
import { LOG_LEVELS } from './log.ts';

export const serviceVariables = {
  FRAMEFLEET_LOG_LEVEL: z.enum(LOG_LEVELS).default('info'),
  /** Where `/health` and `/metrics` are served. Loopback by default, because metrics are not public. */
  FRAMEFLEET_HTTP_HOST: z.string().default('127.0.0.1'),
  /** 0 takes any free port. */
  FRAMEFLEET_HTTP_PORT: wholeNumber({ min: 0, max: 65_535, fallback: 0 }),
};

/** An account name, its blob host, or an emulator's connection string: see `shared/azure/credentials.ts`. */
export const storageSetting = z
  .string()
  .min(3, 'expected an account name, its blob host or a connection string');

/** The form of a scale set's name on Azure, and of a pool's name in a price list. */
export const POOL_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$/;

/** `gpu-spot:spot,gpu:on-demand`, in the order in which the pools are filled. */
export const scaleSetsSetting = listSetting((item) => {
  const [name = '', kind = ''] = item.split(':');
  return POOL_NAME.test(name) && (kind === 'spot' || kind === 'on-demand')
    ? ({ name, kind } as const)
    : undefined;
}, 'expected a list such as gpu-spot:spot,gpu:on-demand');
