/** Decodes tracks of a file: samples of sound as a hash, so that different codecs can be compared, and pictures to find damage. */
import { addSourceInput, ffmpegCommand, startFfmpeg } from '../../shared/media/ffmpeg.ts';
import { PermanentError } from '../../shared/runtime/errors.ts';

/** A week of CPU time: for the pictures of a whole film. */
const PICTURE_CPU_SECONDS_MAX = 7 * 24 * 3600;
/** Decoding takes a thousandth of the time that the sound lasts. */
const CPU_SECONDS_MAX = 3_600;

/** The samples as 64-bit floats, which hold those of every other format. Throws MEDIA_TOOL_FAILED or the signal's reason. */
export async function hashSamples(path: string, trackIndex: number, signal: AbortSignal): Promise<string> {
  const { stdout, finished } = startFfmpeg({
    command: addSourceInput(ffmpegCommand(), path)
      .output('pipe:1')
      .outputOptions('-map', `0:${trackIndex}`, '-c:a', 'pcm_f64le', '-f', 'hash', '-hash', 'sha256'),
    activity: 'decoding the sound',
    stdin: 'none',
    stdout: 'pipe',
    limits: { cpuSecondsMax: CPU_SECONDS_MAX },
    signal,
  });
  let text = '';
  for await (const part of stdout.setEncoding('utf8')) text += part as string;
  await finished;
  return text.trim();
}

/** What the decoder says of the first video track: nothing if it is sound. Throws the signal's reason. */
export async function pictureDamage(path: string, signal: AbortSignal): Promise<readonly string[]> {
  const { finished } = startFfmpeg({
    command: addSourceInput(ffmpegCommand(), path)
      .output('pipe:1')
      .outputOptions('-map', '0:V:0', '-f', 'null'),
    activity: 'decoding the pictures',
    stdin: 'none',
    stdout: 'none',
    limits: { cpuSecondsMax: PICTURE_CPU_SECONDS_MAX },
    signal,
  });
  try {
    return (await finished).warnings;
  } catch (error) {
    if (error instanceof PermanentError && error.code === 'MEDIA_TOOL_FAILED') return [error.message];
    throw error;
  }
}
