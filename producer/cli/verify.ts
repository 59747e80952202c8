/** `npm run verify SOURCE RESULT`: compares two video files with the checks of the join, and more. It needs no fleet. See `verify/options.ts`. */
import { callerPath } from '../../shared/command/config.ts';
import { onInterrupt, print, runCommand, say } from '../../shared/command/run-command.ts';
import { textTable } from '../../shared/command/text.ts';
import { FRAMES_MAX } from '../../shared/contract/limits.ts';
import { type VideoInfo, probeVideo } from '../../shared/media/probe.ts';
import { quotedName } from '../../shared/media/source-refusals.ts';
import { EXIT } from '../../shared/runtime/errors.ts';
import {
  type MediaCheck,
  type Verdict,
  compareAudioTrackCount,
  compareDuration,
  compareExtras,
  compareFrameCount,
  compareFrameTimes,
  comparePicture,
  compareSoundTrack,
  hasSamePackets,
} from '../media/compare-media.ts';
import { decodeFrames } from '../media/decode-frames.ts';
import { hashSamples, pictureDamage } from '../media/decoded-tracks.ts';
import { type MediaFacts, type SoundFacts, readMediaFacts } from '../media/media-facts.ts';
import { type Timeline, secondsPerTick } from '../media/timeline.ts';
import { parseVerifyOptions } from './verify/options.ts';

const WEEK_SECONDS = 7 * 24 * 3600;
const VERDICTS: Readonly<Record<Verdict, string>> = { same: 'ok', note: 'note', differs: 'DIFFERS' };

const argv = process.argv.slice(2);
const { signal } = onInterrupt();
await runCommand(argv, main, signal);

async function main(): Promise<number> {
  const options = parseVerifyOptions(argv);
  if (options === null) return EXIT.ok;
  const { asJson } = options;
  const [sourcePath, resultPath] = [callerPath(options.sourcePath), callerPath(options.resultPath)];
  const video = await probeVideo(sourcePath);
  await probeVideo(resultPath);
  const source = await factsOf(sourcePath);
  const result = await factsOf(resultPath);
  const checks = [
    ...comparePicture(source.video, result.video),
    ...(await compareFilm({ sourcePath, video, source, result })),
    await checkPictures(resultPath),
    ...(await compareSound(sourcePath, source, resultPath, result)),
    ...compareExtras(source, result),
  ];
  const differences = checks.filter(({ verdict }) => verdict === 'differs').length;
  if (asJson) print(JSON.stringify({ matches: differences === 0, checks }));
  else {
    const rows = checks.map(({ what, source: before, result: after, verdict }) => [
      what,
      before,
      after,
      VERDICTS[verdict],
    ]);
    print(textTable(['CHECK', 'SOURCE', 'RESULT', ''], rows));
    say(
      differences === 0
        ? 'The result matches the source.'
        : `The result differs from the source in ${differences} of ${checks.length} checks.`,
    );
  }
  return differences === 0 ? EXIT.ok : EXIT.failed;
}

function factsOf(path: string): Promise<MediaFacts> {
  return readMediaFacts({ input: path, activity: `reading ${quotedName(path)}`, withDigests: true });
}

/** Each packet is there, but its bytes may be damaged. */
async function checkPictures(resultPath: string): Promise<MediaCheck> {
  const [damage] = await pictureDamage(resultPath, signal);
  return {
    what: 'Decoding',
    source: '',
    result: damage ?? 'every frame',
    verdict: damage === undefined ? 'same' : 'differs',
  };
}

interface Film {
  readonly sourcePath: string;
  readonly video: VideoInfo;
  readonly source: MediaFacts;
  readonly result: MediaFacts;
}

/** First against what the packets of the source say; if that fails, against its decoded frames, which count. */
async function compareFilm({ sourcePath, video, source, result }: Film): Promise<MediaCheck[]> {
  const checks = filmChecks(source.timeline, source.video, result);
  if (checks.every(({ verdict }) => verdict === 'same')) return checks;
  say(`Decoding ${quotedName(sourcePath)} to count its frames …`);
  return filmChecks(await decodedTimeline(sourcePath, video), source.video, result);
}

function filmChecks(timeline: Timeline, { framesPerSecond }: VideoInfo, result: MediaFacts): MediaCheck[] {
  const expected = { timeline, framesPerSecond };
  const found = { timeline: result.timeline, durationSeconds: result.video.durationSeconds };
  const count = compareFrameCount(expected, found);
  const times = count.verdict === 'same' ? [compareFrameTimes(expected, found)] : [];
  return [count, ...times, compareDuration(expected, found)];
}

async function decodedTimeline(sourcePath: string, video: VideoInfo): Promise<Timeline> {
  const limits = {
    framesMax: FRAMES_MAX,
    durationSecondsMax: WEEK_SECONDS,
    wallSecondsMax: WEEK_SECONDS,
    cpuSecondsMax: WEEK_SECONDS,
  };
  const decoding = decodeFrames({ sourcePath, video, limits, signal });
  for (;;) {
    const { done, value } = await decoding.next();
    if (done === true) return value;
  }
}

/** Tracks that are declared and have no packets are not in a result. */
async function compareSound(
  sourcePath: string,
  source: MediaFacts,
  resultPath: string,
  result: MediaFacts,
): Promise<MediaCheck[]> {
  const tracks = source.sound.filter(({ packetCount }) => packetCount > 0);
  const checks = [compareAudioTrackCount(tracks.length, result.sound.length)];
  const shiftSeconds = -Math.min(0, source.timeline.pts[0] ?? 0) * secondsPerTick(source.timeline);
  for (const [number, track] of tracks.entries()) {
    const other = result.sound[number];
    if (other === undefined) continue;
    const samples = hasSamePackets(track, other)
      ? 'not needed'
      : await compareSamples(sourcePath, track, resultPath, other);
    checks.push(...compareSoundTrack(track, other, { shiftSeconds, samples }));
  }
  return checks;
}

async function compareSamples(
  sourcePath: string,
  source: SoundFacts,
  resultPath: string,
  result: SoundFacts,
): Promise<'same' | 'differ'> {
  const [before, after] = await Promise.all([
    hashSamples(sourcePath, source.index, signal),
    hashSamples(resultPath, result.index, signal),
  ]);
  return before === after ? 'same' : 'differ';
}
