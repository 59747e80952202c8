/**
 * Which execution provider this worker's engine shall use: the first of those allowed that works here.
 *
 * Each is tried in a process of its own (`engine/probe.ts`), because a library that is missing, or the wrong one, may take a
 * process down. The CPU is one of them: it takes the place of a GPU only where it is allowed. Loads nothing native itself.
 */
import { fileURLToPath } from 'node:url';

import type { Environment } from '../../shared/runtime/environment.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { EXECUTION_PROVIDERS } from '../config.ts';
import { probeProvider } from './provider-probe.ts';

export type ExecutionProvider = (typeof EXECUTION_PROVIDERS)[number];

const PROBE_PROGRAM = fileURLToPath(new URL('./probe.ts', import.meta.url));

/** Loading CUDA and waking a GPU takes seconds, on a cold disk tens of them; TensorRT builds kernels besides. */
const PROBE_TIMEOUT_MS = 60_000;
const TENSORRT_PROBE_TIMEOUT_MS = 300_000;

const GPU_HINT =
  "For cuda and tensorrt install CUDA 12, cuDNN 9 (and TensorRT), and onnxruntime-node's CUDA binaries " +
  '(node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12). ' +
  'Or add cpu to FRAMEFLEET_EXECUTION_PROVIDERS to allow the CPU.';
const CPU_HINT = 'Not even the CPU works: install the dependencies again (npm ci).';

interface ProviderRefusal {
  readonly provider: ExecutionProvider;
  /** A sentence. */
  readonly why: string;
}

export interface ProviderChoice {
  readonly provider: ExecutionProvider;
  /** What was tried before it, in order. */
  readonly refusals: readonly ProviderRefusal[];
}

/** Throws ENGINE_FAILED where none works, and the signal's reason when it is aborted. */
export async function chooseExecutionProvider({
  wanted,
  deviceId,
  environment,
  log,
  signal,
  timeoutMs,
  probeProgram = PROBE_PROGRAM,
}: {
  /** Tried in this order. */
  readonly wanted: readonly ExecutionProvider[];
  readonly deviceId: number;
  /** The probes' own: they are started with nothing else. */
  readonly environment: Environment;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Of each probe, in place of the provider's own. */
  readonly timeoutMs?: number;
  readonly probeProgram?: string;
}): Promise<ProviderChoice> {
  const refusals: ProviderRefusal[] = [];
  for (const provider of wanted) {
    const why = await probeProvider({
      programPath: probeProgram,
      provider,
      deviceId,
      environment,
      timeoutMs: timeoutMs ?? (provider === 'tensorrt' ? TENSORRT_PROBE_TIMEOUT_MS : PROBE_TIMEOUT_MS),
      signal,
    });
    if (why === undefined) {
      log.info({ provider, deviceId }, 'execution provider chosen');
      return { provider, refusals };
    }
    log.warn({ provider, deviceId, why }, 'execution provider refused');
    refusals.push({ provider, why });
  }
  const tried = refusals.map(({ provider, why }) => `${provider}: ${why}`);
  throw new PermanentError('ENGINE_FAILED', `No execution provider works here. ${tried.join('; ')}`, {
    hint: wanted.includes('cpu') ? CPU_HINT : GPU_HINT,
  });
}
