/**
 * Why a run ended as a whole, from the error that was thrown. PURE.
 *
 * model    the model is missing, is not what the job pinned, does not match its manifest, does not load, or lacks a parameter
 *          that the job sets. Permanent, unless the model is missing or another instance might load it.
 * storage  the model or a piece could not be fetched, or a segment not stored; this does not count against the batch
 * piece    a piece of the source does not hold what the plan says
 * engine   anything else
 */
import { UnknownChoiceError, UnknownParameterError } from '../../shared/contract/model-manifest.ts';
import { FleetError, PermanentError, describeError } from '../../shared/runtime/errors.ts';
import { ModelMismatchError } from './check-model.ts';
import type { LoadDiagnosis } from './inference-client.ts';
import { PieceMismatchError } from './piece-decoder.ts';
import type { RunRefusal } from './protocol.ts';

/** Thrown if no execution provider loads a model. */
export class ModelNotLoadedError extends Error {
  /** Whether the model is known to be at fault, and not this instance. */
  readonly isModelAtFault: boolean;

  constructor(message: string, known: Pick<ModelNotLoadedError, 'isModelAtFault'>) {
    super(message);
    this.isModelAtFault = known.isModelAtFault;
  }
}

/** The runtime's own words, and those of C++, CUDA, cuDNN and cuBLAS. An illegal memory access is another error. */
const SHORT_OF_MEMORY =
  /(?:out of|not enough|insufficient|allocate) memory|failed to allocate|bad_?alloc|alloc_failed|out of resources/i;

/** Whether a run or a load failed because the device or instance is short of memory, from the message of the error. */
export function isShortOfMemory(message: string): boolean {
  return SHORT_OF_MEMORY.test(message);
}

/**
 * After a failed load: the model is at fault if the CPU refuses it too, on an instance whose runtime loads another model. A lack of memory
 * says nothing about the model.
 */
export function isModelAtFault({ cpuRefusal, isRuntimeSound }: LoadDiagnosis): boolean {
  return cpuRefusal !== null && isRuntimeSound && !isShortOfMemory(cpuRefusal);
}

export function runRefusalOf(error: unknown): RunRefusal {
  const message = describeError(error);
  if (error instanceof PieceMismatchError)
    return { kind: 'piece', isPermanent: false, code: 'MEDIA_TOOL_FAILED', message: error.message };
  if (error instanceof FleetError) {
    const isModel = error.code === 'MODEL_INVALID' || error.code === 'MODEL_UNKNOWN';
    const kind = isModel ? 'model' : error.code === 'STORAGE_UNAVAILABLE' ? 'storage' : 'engine';
    return { kind, isPermanent: isModel && error instanceof PermanentError, code: error.code, message };
  }
  if (error instanceof UnknownChoiceError || error instanceof UnknownParameterError)
    return { kind: 'model', isPermanent: true, code: 'STYLE_UNKNOWN', message };
  if (error instanceof ModelMismatchError)
    return { kind: 'model', isPermanent: true, code: 'MODEL_INVALID', message };
  if (error instanceof ModelNotLoadedError)
    return { kind: 'model', isPermanent: error.isModelAtFault, code: 'MODEL_INVALID', message };
  return { kind: 'engine', isPermanent: false, code: 'ENGINE_FAILED', message };
}
