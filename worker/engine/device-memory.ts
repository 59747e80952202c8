/** The free memory and the name of an NVIDIA GPU, from the driver's `nvidia-smi`: ONNX Runtime does not tell. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** The first call after boot loads the driver's state. */
const TIMEOUT_MS = 30_000;

/** Bytes that are free now on the GPU of this number; null if that cannot be found out. */
export async function freeDeviceBytes(gpu: number): Promise<number | null> {
  const mebibytes = /^\d+$/.exec((await ask(gpu, 'memory.free')) ?? '')?.[0];
  return mebibytes === undefined ? null : Number(mebibytes) * 2 ** 20;
}

/** The name of the GPU of this number, such as `Tesla T4`; null if that cannot be found out. */
export async function deviceName(gpu: number): Promise<string | null> {
  const name = await ask(gpu, 'name');
  return name === '' ? null : name;
}

async function ask(gpu: number, property: string): Promise<string | null> {
  const query = [`--query-gpu=${property}`, '--format=csv,noheader,nounits'];
  try {
    const { stdout } = await promisify(execFile)('nvidia-smi', [`--id=${gpu}`, ...query], {
      timeout: TIMEOUT_MS,
    });
    return stdout.trim();
  } catch {
    return null;
  }
}
