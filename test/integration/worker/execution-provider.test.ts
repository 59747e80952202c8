/** Chooses an execution provider with real probe processes, on a machine without a GPU. */
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

import { PermanentError } from '../../../shared/runtime/errors.ts';
import {
  type ExecutionProvider,
  chooseExecutionProvider,
} from '../../../worker/engine/execution-provider.ts';
import { PROBE_MODEL, PROBE_OUTPUT, isProbeOutput } from '../../../worker/engine/probe-model.ts';
import { onnxConstant, onnxInput, onnxModel, onnxNode, onnxOutput } from '../../support/onnx-writer.ts';
import { silentLog } from '../../support/silent-log.ts';

const MISBEHAVING_PROBE = fileURLToPath(new URL('../../support/misbehaving-probe.ts', import.meta.url));
const common = {
  deviceId: 0,
  environment: {},
  log: silentLog,
  signal: new AbortController().signal,
} as const;

async function failureOf(choice: Promise<unknown>): Promise<PermanentError> {
  const error: unknown = await choice.catch((thrown: unknown) => thrown);
  if (!(error instanceof PermanentError)) throw new TypeError('expected a PermanentError', { cause: error });
  return error;
}

test('without a GPU the CPU is chosen if it is allowed, and each refused provider has a reason', async () => {
  const allowed: ExecutionProvider[] = ['cuda', 'tensorrt', 'webgpu', 'cpu'];
  const { provider, refusals } = await chooseExecutionProvider({ ...common, allowed });
  expect(provider).toBe('cpu');
  expect(refusals.map((refusal) => refusal.provider)).toEqual(['cuda', 'tensorrt', 'webgpu']);
  const [cuda, tensorrt, webgpu] = refusals.map(({ why }) => why);
  expect(cuda).toMatch(/Failed to load shared library: libonnxruntime_providers_shared\.so: cannot open/);
  expect(tensorrt).toMatch(/Failed to load shared library: libonnxruntime_providers_shared\.so: cannot open/);
  expect(webgpu).toMatch(/Failed to get a WebGPU adapter/);
});

test('the first provider that works is chosen, and later ones are not tested', async () => {
  const choice = await chooseExecutionProvider({ ...common, allowed: ['cpu', 'cuda'] });
  expect(choice).toEqual({ provider: 'cpu', refusals: [] });
});

test('the CPU does not replace a GPU if it is not listed', async () => {
  const { code, message, hint } = await failureOf(chooseExecutionProvider({ ...common, allowed: ['cuda'] }));
  expect(code).toBe('ENGINE_FAILED');
  expect(message).toMatch(/cuda: .*shared library/);
  expect(hint).toMatch(/CUDA 12.*cuDNN 9.*add cpu to FRAMEFLEET_EXECUTION_PROVIDERS/);
});

test('a probe that hangs is killed after its time-out, and its provider is refused', async () => {
  const { message } = await failureOf(
    chooseExecutionProvider({
      ...common,
      allowed: ['tensorrt'],
      timeoutMs: 500,
      probeProgram: MISBEHAVING_PROBE,
    }),
  );
  expect(message).toBe('No execution provider works on this machine. tensorrt: no answer within 0.5 s');
});

test('a provider is refused if its probe dies, fails after its answer, or gives no answer', async () => {
  const { message, hint } = await failureOf(
    chooseExecutionProvider({
      ...common,
      allowed: ['cuda', 'webgpu', 'cpu'],
      probeProgram: MISBEHAVING_PROBE,
    }),
  );
  expect(message).toBe(
    'No execution provider works on this machine. ' +
      'cuda: the probe died of SIGSEGV: the last words; ' +
      'webgpu: the probe exited with status 3: the last words; ' +
      'cpu: the probe gave no answer: the last words',
  );
  expect(hint).toContain('The CPU provider should always work');
});

test('aborting the choice ends the probe', async () => {
  const stopping = new AbortController();
  const choice = chooseExecutionProvider({
    ...common,
    allowed: ['tensorrt'],
    signal: stopping.signal,
    probeProgram: MISBEHAVING_PROBE,
  });
  stopping.abort(new Error('stopped'));
  await expect(choice).rejects.toThrow('stopped');
});

test('a probe output with wrong, too few or no numbers is rejected', () => {
  expect(isProbeOutput(PROBE_OUTPUT)).toBe(true);
  expect(isProbeOutput(PROBE_OUTPUT.with(3, 0))).toBe(false);
  expect(isProbeOutput(PROBE_OUTPUT.with(3, NaN))).toBe(false);
  expect(isProbeOutput(PROBE_OUTPUT.slice(1))).toBe(false);
  expect(isProbeOutput([])).toBe(false);
});

test('the probe’s model can be generated again, byte for byte', () => {
  const whole = (length: number, values: number) =>
    Float32Array.from({ length }, (_, index) => (index % values) - Math.floor(values / 2));
  const graph = [
    onnxInput({ name: 'input', type: 'float32', dims: [1, 1, 5, 5] }),
    onnxOutput({ name: 'output', type: 'float32', dims: [1, 2, 3, 2] }),
    onnxConstant('kernel', [2, 1, 3, 3], whole(18, 5)),
    onnxConstant('matrix', [3, 2], whole(6, 7)),
    onnxNode('Conv', ['input', 'kernel'], ['convolved']),
    onnxNode('MatMul', ['convolved', 'matrix'], ['output']),
  ];
  expect(onnxModel({ opset: 17, graph }).toString('base64')).toBe(PROBE_MODEL.toString('base64'));
});
