/** Hashes the decoded samples of an audio track, so that sound in different codecs can be compared. */
import { addSourceInput, ffmpegCommand, startFfmpeg } from '../../shared/media/ffmpeg.ts';

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
