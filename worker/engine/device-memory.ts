/** The memory of an NVIDIA GPU, from the driver's `nvidia-smi`: ONNX Runtime does not tell. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** The first call after boot loads the driver's state. */
const TIMEOUT_MS = 30_000;

/** Bytes that are free now on the GPU of this number; null if that cannot be found out. */
export async function freeDeviceBytes(gpu: number): Promise<number | null> {
  const query = ['--query-gpu=memory.free', '--format=csv,noheader,nounits'];
  try {
    const { stdout } = await promisify(execFile)('nvidia-smi', [`--id=${gpu}`, ...query], {
      timeout: TIMEOUT_MS,
    });
    const mebibytes = /^\s*(\d+)\s*$/.exec(stdout)?.[1];
    return mebibytes === undefined ? null : Number(mebibytes) * 2 ** 20;
  } catch {
    return null;
  }
}
