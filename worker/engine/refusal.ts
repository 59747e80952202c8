/**
 * Why a run could not begin, from what was thrown. PURE.
 *
 * model    what is published is not what the job pinned or what its manifest says, or cannot do what the job asks: hopeless. No
 *          provider takes it: hopeless where it is known to be the model's fault. It is not there.
 * storage  the model could not be fetched: storage has a bad time, and the batch is none the worse for it
 * engine   anything else
 */
import { UnknownChoiceError, UnknownParameterError } from '../../shared/contract/model-manifest.ts';
import { FleetError, PermanentError, describeError } from '../../shared/runtime/errors.ts';
import { ModelMismatchError } from './check-model.ts';
import type { Judgement } from './inference-protocol.ts';
import type { Refusal } from './protocol.ts';

/** Thrown where no execution provider takes a model. */
export class ModelNotLoadedError extends Error {
  /** Whether it is known to be the model, and not this machine. */
  readonly isModelAtFault: boolean;

  constructor(message: string, known: Pick<ModelNotLoadedError, 'isModelAtFault'>) {
    super(message);
    this.isModelAtFault = known.isModelAtFault;
  }
}

/** A device or a machine that is short of memory says nothing about the model. */
const SHORT_OF_MEMORY = /memory|alloc|out of resources/i;

/** A load has failed: it is the model's fault where the CPU refuses it, too, on a machine whose runtime loads another model. */
export function isModelAtFault({ cpuRefusal, isRuntimeSound }: Judgement): boolean {
  return cpuRefusal !== null && isRuntimeSound && !SHORT_OF_MEMORY.test(cpuRefusal);
}

export function refusalOf(error: unknown): Refusal {
  const message = describeError(error);
  if (error instanceof FleetError) {
    const isModel = error.code === 'MODEL_INVALID' || error.code === 'MODEL_UNKNOWN';
    const kind = isModel ? 'model' : error.code === 'STORAGE_UNAVAILABLE' ? 'storage' : 'engine';
    return { kind, isHopeless: isModel && error instanceof PermanentError, code: error.code, message };
  }
  if (error instanceof UnknownChoiceError || error instanceof UnknownParameterError)
    return { kind: 'model', isHopeless: true, code: 'STYLE_UNKNOWN', message };
  if (error instanceof ModelMismatchError)
    return { kind: 'model', isHopeless: true, code: 'MODEL_INVALID', message };
  if (error instanceof ModelNotLoadedError)
    return { kind: 'model', isHopeless: error.isModelAtFault, code: 'MODEL_INVALID', message };
  return { kind: 'engine', isHopeless: false, code: 'ENGINE_FAILED', message };
}
