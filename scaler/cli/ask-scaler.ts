/** Sends a request to the configured scaler, or else to the scaler of the local fleet that `npm start` runs for this folder. */
import type { z } from 'zod';

import { findReadyStack } from '../../shared/command/local-stack.ts';
import { TransientError } from '../../shared/runtime/errors.ts';
import { type ScalerAddress, type ScalerRequest, requestScaler } from '../../shared/runtime/scaler-client.ts';
import type { ScalerCommandConfig } from './config.ts';

/** Returns the answer, checked against `shape`. Throws FLEET_NOT_FOUND, SCALER_UNREACHABLE, or the scaler's error. */
export async function askScaler<S extends z.ZodType>(
  request: ScalerRequest,
  shape: S,
  config: ScalerCommandConfig,
): Promise<z.output<S>> {
  return requestScaler(request, shape, await findScaler(config));
}

async function findScaler({ url, token, localFolder }: ScalerCommandConfig): Promise<ScalerAddress> {
  if (url !== undefined) return { url, token };
  const environment = await findReadyStack(localFolder);
  const localUrl = environment?.['FRAMEFLEET_SCALER_URL'];
  if (localUrl !== undefined) return { url: localUrl, token: environment?.['FRAMEFLEET_SCALER_TOKEN'] };
  throw new TransientError(
    'FLEET_NOT_FOUND',
    'No scaler found: FRAMEFLEET_SCALER_URL is not set, and no local fleet is up in this folder.',
    {
      hint: 'Run `npm start` in another shell, or set FRAMEFLEET_SCALER_URL and FRAMEFLEET_SCALER_TOKEN.',
    },
  );
}
