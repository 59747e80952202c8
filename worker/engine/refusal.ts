/**
 * Why a run could not begin, from what was thrown. PURE.
 *
 * model    what is published is not what the job pinned, or cannot do what it asks (hopeless); no provider takes it; it is not there
 * storage  the model could not be fetched: storage has a bad time, and the batch is none the worse for it
 * engine   anything else
 */
import { UnknownChoiceError, UnknownParameterError } from '../../shared/contract/model-manifest.ts';
import { FleetError, PermanentError, describeError } from '../../shared/runtime/errors.ts';
import type { Refusal } from './protocol.ts';

/** Thrown where no execution provider takes a model. */
export class ModelNotLoadedError extends Error {}

export function refusalOf(error: unknown): Refusal {
  const message = describeError(error);
  if (error instanceof FleetError) {
    const isModel = error.code === 'MODEL_INVALID' || error.code === 'MODEL_UNKNOWN';
    const kind = isModel ? 'model' : error.code === 'STORAGE_UNAVAILABLE' ? 'storage' : 'engine';
    return { kind, isHopeless: isModel && error instanceof PermanentError, code: error.code, message };
  }
  if (error instanceof UnknownChoiceError || error instanceof UnknownParameterError)
    return { kind: 'model', isHopeless: true, code: 'STYLE_UNKNOWN', message };
  if (error instanceof ModelNotLoadedError)
    return { kind: 'model', isHopeless: false, code: 'MODEL_INVALID', message };
  return { kind: 'engine', isHopeless: false, code: 'ENGINE_FAILED', message };
}
