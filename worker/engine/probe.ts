/**
 * Tests an execution provider on this machine: `node probe.ts <provider> <device id>`, for example `node probe.ts cuda 0`.
 *
 * A separate program, because a missing or wrong driver or library may crash the process or hang it. Prints one line of JSON,
 * `{"ok": true, …}` or `{"ok": false, "message": …}`, and exits with status 0 or 1. Operators may run it too: the runtime's own
 * messages are on stderr.
 */
import { InferenceSession, Tensor } from 'onnxruntime-node';

import { describeError } from '../../shared/runtime/errors.ts';
import { PROBE_INPUT, PROBE_MODEL, PROBE_OUTPUT, isProbeOutput } from './probe-model.ts';
import { providerOption } from './provider-option.ts';

const [provider = '', deviceId = '0'] = process.argv.slice(2);
try {
  const startedAt = performance.now();
  const values = await calculate();
  const seconds = (performance.now() - startedAt) / 1000;
  if (!isProbeOutput(values)) {
    throw new Error(`wrong result: expected ${PROBE_OUTPUT.join(' ')}, received ${values.join(' ')}`);
  }
  print({ ok: true, provider, seconds });
} catch (error) {
  print({ ok: false, provider, message: describeError(error) });
  process.exitCode = 1;
}

async function calculate(): Promise<number[]> {
  const session = await InferenceSession.create(PROBE_MODEL, {
    executionProviders: [providerOption(provider, Number(deviceId))],
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
    // By default, the runtime silently moves operators that a provider does not support to the CPU.
    ...(provider === 'cpu' ? {} : { extra: { session: { disable_cpu_ep_fallback: '1' } } }),
  });
  const { output } = await session.run({
    input: new Tensor('float32', PROBE_INPUT.values, PROBE_INPUT.dims),
  });
  if (!(output?.data instanceof Float32Array)) throw new TypeError('expected float32 as output');
  const values = [...output.data];
  await session.release();
  return values;
}

function print(answer: object): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
