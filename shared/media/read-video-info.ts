/** PURE. What ffprobe answered about a video, as a VideoInfo. */
import {
  type FfprobeAnswer,
  type FfprobeStream,
  clockSeconds,
  positiveNumber,
  positiveRatio,
  rateOf,
  said,
} from './ffprobe-answer.ts';
import type { ResultContainer, SourceTrack, VideoInfo } from './video-info.ts';

const FRAMES_PER_SECOND_UNSAID = 25;

/** The first track that is a moving picture. */
export function findVideoStream({ streams }: FfprobeAnswer): FfprobeStream | undefined {
  return streams.find((stream) => trackOf(stream).kind === 'video');
}

export function readVideoInfo({
  answer,
  stream,
  fileSizeBytes,
}: {
  readonly answer: FfprobeAnswer;
  readonly stream: FfprobeStream;
  readonly fileSizeBytes: number;
}): VideoInfo {
  const tracks = answer.streams.map(trackOf);
  const rotation = stream.side_data_list.find((data) => data.rotation !== undefined)?.rotation ?? 0;
  const rotationDegrees = (((Math.round(-rotation) % 360) + 360) % 360) + 0;
  const onItsSide = rotationDegrees === 90 || rotationDegrees === 270;
  const ratio = positiveRatio(stream.sample_aspect_ratio) ?? { numerator: 1, denominator: 1 };
  const framesPerSecond =
    rateOf(stream.avg_frame_rate) ?? rateOf(stream.r_frame_rate) ?? FRAMES_PER_SECOND_UNSAID;
  const durationSeconds = durationOf(answer, stream);
  const frameCountDeclared = positiveNumber(stream.nb_frames);
  const transfer = said(stream.color_transfer);
  return {
    formatName: answer.format?.format_name ?? '',
    container: containerOf({ answer, tracks }),
    fileSizeBytes,
    trackIndex: stream.index,
    codec: stream.codec_name ?? 'unknown',
    pixelFormat: stream.pix_fmt,
    bitDepth: bitDepthOf(stream),
    width: onItsSide ? stream.height : stream.width,
    height: onItsSide ? stream.width : stream.height,
    rotationDegrees,
    sampleAspectRatio: onItsSide ? { numerator: ratio.denominator, denominator: ratio.numerator } : ratio,
    interlaced: ['tt', 'bb', 'tb', 'bt'].includes(stream.field_order),
    hdr: transfer === 'smpte2084' || transfer === 'arib-std-b67',
    colour: {
      matrix: said(stream.color_space),
      range: rangeOf(stream),
      primaries: said(stream.color_primaries),
      transfer,
    },
    framesPerSecond,
    timeBase: positiveRatio(stream.time_base) ?? { numerator: 1, denominator: 1000 },
    durationSeconds,
    frameCountDeclared,
    frameCountEstimated: estimateFrames({ frameCountDeclared, durationSeconds, framesPerSecond }),
    audioTrackCount: tracks.filter(({ kind }) => kind === 'audio').length,
    tracks,
  };
}

function trackOf(stream: FfprobeStream): SourceTrack {
  return {
    index: stream.index,
    kind: kindOf(stream),
    codec: stream.codec_name,
    sampleRateHz: positiveNumber(stream.sample_rate),
    language: said(stream.tags['language']),
  };
}

function kindOf({ codec_type: type, disposition }: FfprobeStream): SourceTrack['kind'] {
  if (type === 'video') return disposition.attached_pic === 1 ? 'picture' : 'video';
  return type === 'audio' || type === 'subtitle' || type === 'attachment' ? type : 'data';
}

/** What the mp4 muxer takes; other sound in an .mp4 (PCM from cameras, AMR from phones) fits a .mov. */
const MP4_SOUND = new Set([
  'aac',
  'mp3',
  'mp2',
  'ac3',
  'eac3',
  'alac',
  'flac',
  'opus',
  'dts',
  'vorbis',
  'mp4als',
]);

function containerOf({
  answer: { format },
  tracks,
}: {
  readonly answer: FfprobeAnswer;
  readonly tracks: readonly SourceTrack[];
}): ResultContainer {
  if (format?.format_name.split(',').includes('mov') !== true) return 'mkv';
  // No brand at all is QuickTime from before there were brands.
  if ((format.tags['major_brand'] ?? 'qt  ').startsWith('qt')) return 'mov';
  const sound = tracks.filter(({ kind }) => kind === 'audio');
  return sound.every(({ codec }) => codec !== undefined && MP4_SOUND.has(codec)) ? 'mp4' : 'mov';
}

/** Matroska declares when the picture, or the file, ends; the others how long it lasts. */
function durationOf(
  { format }: FfprobeAnswer,
  { duration, start_time: start, tags }: FfprobeStream,
): number | undefined {
  const end = clockSeconds(tags['DURATION'] ?? tags['DURATION-eng']) ?? positiveNumber(format?.duration);
  if (format?.format_name.startsWith('matroska') !== true) return positiveNumber(duration) ?? end;
  return end === undefined ? undefined : Math.max(0, end - (Number(start) || 0));
}

/**
 * An edit list hides samples that the table of the container counts: duration times rate is then less than the table.
 */
function estimateFrames({
  frameCountDeclared,
  durationSeconds,
  framesPerSecond,
}: Pick<VideoInfo, 'frameCountDeclared' | 'durationSeconds' | 'framesPerSecond'>): number | undefined {
  const shown =
    durationSeconds === undefined ? undefined : Math.max(1, Math.round(durationSeconds * framesPerSecond));
  if (frameCountDeclared === undefined || shown === undefined) return frameCountDeclared ?? shown;
  return Math.min(frameCountDeclared, shown);
}

function bitDepthOf({ pix_fmt: format, bits_per_raw_sample: raw }: FfprobeStream): number {
  const named = /(?:p|gray|x2rgb|x2bgr)0?(9|10|12|14|16)(?:le|be)?$/.exec(format)?.[1];
  return positiveNumber(named ?? raw) ?? 8;
}

function rangeOf({ color_range: range, pix_fmt: format }: FfprobeStream): 'tv' | 'pc' | undefined {
  if (range === 'tv' || range === 'pc') return range;
  return format.startsWith('yuvj') ? 'pc' : undefined;
}
