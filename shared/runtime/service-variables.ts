/** The variables that every service of ours understands, for the rooms' `config.ts`. */
import { z } from 'zod';

import { wholeNumber } from './environment.ts';
import { LOG_LEVELS } from './log.ts';

export const serviceVariables = {
  FRAMEFLEET_LOG_LEVEL: z.enum(LOG_LEVELS).default('info'),
  /** Where `/health` and `/metrics` are served. Loopback unless told otherwise: metrics are nobody else's business. */
  FRAMEFLEET_HTTP_HOST: z.string().default('127.0.0.1'),
  /** 0 takes any free port. */
  FRAMEFLEET_HTTP_PORT: wholeNumber({ min: 0, max: 65_535, fallback: 0 }),
};

/** An account name, its blob host, or an emulator's connection string: see `shared/azure/credentials.ts`. */
export const storageSetting = z.string().min(3);
