/**
 * Chooses the execution provider for this worker's engine: the first allowed one that works on this machine.
 *
 * Each is tested in a process of its own (`engine/probe.ts`), because a missing or wrong library may crash the process. The CPU is
 * a provider like any other: it replaces a GPU only if it is listed. This file loads nothing native itself.
 */
import { fileURLToPath } from 'node:url';

import type { Environment } from '../../shared/runtime/environment.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { EXECUTION_PROVIDERS } from '../config.ts';
import { probeProvider } from './provider-probe.ts';

export type ExecutionProvider = (typeof EXECUTION_PROVIDERS)[number];

const PROBE_PROGRAM = fileURLToPath(new URL('./probe.ts', import.meta.url));

/** Loading CUDA and waking a GPU takes seconds, or tens of seconds from a cold disk. TensorRT also builds kernels. */
const PROBE_TIMEOUT_MS = 60_000;
const TENSORRT_PROBE_TIMEOUT_MS = 300_000;

const GPU_HINT =
  'For cuda and tensorrt, install CUDA 12, cuDNN 9 and (for tensorrt) TensorRT, and the CUDA binaries of onnxruntime-node ' +
  '(node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12). ' +
  'To allow the CPU, add cpu to FRAMEFLEET_EXECUTION_PROVIDERS.';
const CPU_HINT = 'The CPU provider should always work. Reinstall the dependencies with npm ci.';

interface ProviderRefusal {
  readonly provider: ExecutionProvider;
  /** For people. */
  readonly why: string;
}

export interface ProviderChoice {
  readonly provider: ExecutionProvider;
  /** The providers that were tested before it and do not work, in order. */
  readonly refusals: readonly ProviderRefusal[];
}

export interface ProviderOptions {
  /** Tested in this order. */
  readonly allowed: readonly ExecutionProvider[];
  readonly deviceId: number;
  /** The probes get this environment and nothing else. */
  readonly environment: Environment;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Of each probe. Defaults to a time-out that depends on the provider. */
  readonly timeoutMs?: number;
  readonly probeProgram?: string;
}

/** Throws ENGINE_FAILED if none works, and the signal's reason if it is aborted. */
export async function chooseExecutionProvider(options: ProviderOptions): Promise<ProviderChoice> {
  const { allowed, deviceId, environment, log, signal, timeoutMs, probeProgram = PROBE_PROGRAM } = options;
  const refusals: ProviderRefusal[] = [];
  for (const provider of allowed) {
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
    log.warn({ provider, deviceId, reason: why }, 'execution provider refused');
    refusals.push({ provider, why });
  }
  const reasons = refusals.map(({ provider, why }) => `${provider}: ${why}`);
  throw new PermanentError(
    'ENGINE_FAILED',
    `No execution provider works on this machine. ${reasons.join('; ')}`,
    {
      hint: allowed.includes('cpu') ? CPU_HINT : GPU_HINT,
    },
  );
}
