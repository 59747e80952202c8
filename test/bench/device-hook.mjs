/**
 * Loaded into a worker under measurement (`node --import`). Records when sessions are created and run, and, if
 * FRAMEFLEET_BENCH_DEVICE_MS is set, replaces it by a device that takes this long a frame and uses no CPU: the output is the input.
 *
 * Each call is a line `["create" or "run", startMs, endMs]`, in Unix time, in the file FRAMEFLEET_BENCH_RUNS.
 */
import { appendFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const FLUSH_MS = 250;

if (!isMainThread) {
  const { InferenceSession, Tensor } = await import('onnxruntime-node');
  const file = process.env['FRAMEFLEET_BENCH_RUNS'];
  const deviceMs = Number(process.env['FRAMEFLEET_BENCH_DEVICE_MS']);
  const create = InferenceSession.create.bind(InferenceSession);
  const { run } = InferenceSession.prototype;
  const now = () => performance.timeOrigin + performance.now();
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  let lines = '';
  const record = (call, startedAt) => {
    lines += `${JSON.stringify([call, startedAt, now()])}\n`;
  };
  InferenceSession.create = async (...request) => {
    const startedAt = now();
    const session = await create(...request);
    record('create', startedAt);
    return session;
  };
  InferenceSession.prototype.run = async function (feeds, ...rest) {
    const startedAt = now();
    const outputs = deviceMs > 0 ? simulated(this, feeds) : await run.call(this, feeds, ...rest);
    record('run', startedAt);
    return outputs;
  };
  const simulated = (session, feeds) => {
    const { dims, data } = feeds[session.inputNames[0]];
    Atomics.wait(sleeper, 0, 0, deviceMs * dims[0]);
    return { [session.outputNames[0]]: new Tensor('uint8', data, dims) };
  };
  if (file !== undefined) {
    const flush = () => {
      if (lines !== '') appendFileSync(file, lines);
      lines = '';
    };
    setInterval(flush, FLUSH_MS).unref();
    process.on('exit', flush);
  }
}
