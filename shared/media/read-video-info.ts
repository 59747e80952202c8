/** PURE. Converts ffprobe's output about a video into a VideoInfo, and chooses its video track and the result's container. */
import { RATIO_PART_MAX, type ResultContainer } from '../contract/encoding.ts';
import {
  type FfprobeOutput,
  type FfprobeStream,
  parseClockSeconds,
  parseFrameRate,
  parseName,
  parsePositiveNumber,
  parseRatio,
} from './ffprobe-output.ts';
import type { Ratio, SourceTrack, VideoInfo } from './video-info.ts';

/** If the container declares no frame rate. */
const FRAMES_PER_SECOND_ASSUMED = 25;
/** A header that declares more is wrong: even high-speed recordings play back at an ordinary rate. */
const FRAMES_PER_SECOND_MAX = 10_000;
/** A repeated frame takes about 12 bytes in H.264; a dropped frame takes 8 bytes in the index of an .avi. */
const FRAME_BYTES_MIN = 8;

/** Still-image codecs. A track with one frame in such a codec is an image that accompanies the film. */
const STILL_CODECS = new Set(['mjpeg', 'png', 'bmp', 'gif', 'webp', 'tiff', 'jpeg2000']);

/**
 * The track that a player shows: among the video tracks, the one flagged as default, then the largest, then the first. Never a
 * cover or a thumbnail, whatever its position.
 */
export function findVideoStream({ streams }: FfprobeOutput): FfprobeStream | undefined {
  const videos = streams.filter((stream) => trackKind(stream) === 'video');
  const moving = videos.filter((stream) => !isStill(stream));
  const [best] = (moving.length > 0 ? moving : videos).toSorted(
    (a, b) => defaultFlag(b) - defaultFlag(a) || b.width * b.height - a.width * a.height,
  );
  return best;
}

function defaultFlag({ disposition }: FfprobeStream): number {
  return disposition.default ?? 0;
}

/** A single frame in a still-image codec, not flagged as a cover. */
function isStill({ codec_name: codec = '', nb_frames: count, tags }: FfprobeStream): boolean {
  const declared = count ?? tags['NUMBER_OF_FRAMES'] ?? tags['NUMBER_OF_FRAMES-eng'];
  return STILL_CODECS.has(codec) && declared === '1';
}

export function readVideoInfo(
  output: FfprobeOutput,
  stream: FfprobeStream,
  fileSizeBytes: number,
): VideoInfo {
  const tracks = output.streams.map((other) =>
    other !== stream && isStill(other)
      ? { ...sourceTrack(other), kind: 'picture' as const }
      : sourceTrack(other),
  );
  const rotation = stream.side_data_list.find((data) => data.rotation !== undefined)?.rotation ?? 0;
  const rotationDegrees = (((Math.round(-rotation) % 360) + 360) % 360) + 0;
  const isSideways = rotationDegrees === 90 || rotationDegrees === 270;
  const ratio = pixelShape(stream.sample_aspect_ratio);
  const framesPerSecond =
    plausibleRate(stream.avg_frame_rate) ?? plausibleRate(stream.r_frame_rate) ?? FRAMES_PER_SECOND_ASSUMED;
  const durationSeconds = declaredDuration(output, stream);
  const transfer = parseName(stream.color_transfer);
  return {
    formatName: output.format?.format_name ?? '',
    container: resultContainer(output, tracks),
    fileSizeBytes,
    trackIndex: stream.index,
    codec: stream.codec_name ?? 'unknown',
    pixelFormat: stream.pix_fmt,
    bitDepth: bitDepth(stream),
    width: isSideways ? stream.height : stream.width,
    height: isSideways ? stream.width : stream.height,
    rotationDegrees,
    sampleAspectRatio: isSideways ? { numerator: ratio.denominator, denominator: ratio.numerator } : ratio,
    interlaced: ['tt', 'bb', 'tb', 'bt'].includes(stream.field_order),
    hdr: transfer === 'smpte2084' || transfer === 'arib-std-b67',
    colour: {
      matrix: parseName(stream.color_space),
      range: colourRange(stream),
      primaries: parseName(stream.color_primaries),
      transfer,
      chromaLocation: parseName(stream.chroma_location),
    },
    framesPerSecond,
    timeBase: parseRatio(stream.time_base) ?? { numerator: 1, denominator: 1000 },
    durationSeconds,
    frameCountExpected: expectedFrames(
      [
        parsePositiveNumber(stream.nb_frames),
        durationSeconds === undefined ? undefined : durationSeconds * framesPerSecond,
      ],
      Math.ceil(fileSizeBytes / FRAME_BYTES_MIN),
    ),
    audioTrackCount: tracks.filter(({ kind }) => kind === 'audio').length,
    tracks,
  };
}

/** Of a pixel, in numbers that encoders take: a damaged header may declare any. */
function pixelShape(text: string | undefined): Ratio {
  const ratio = parseRatio(text) ?? { numerator: 1, denominator: 1 };
  const factor = Math.min(1, RATIO_PART_MAX / Math.max(ratio.numerator, ratio.denominator));
  const [numerator = 1, denominator = 1] = [ratio.numerator, ratio.denominator].map((part) =>
    Math.max(1, Math.round(part * factor)),
  );
  return { numerator, denominator };
}

function sourceTrack(stream: FfprobeStream): SourceTrack {
  return {
    index: stream.index,
    kind: trackKind(stream),
    codec: stream.codec_name,
    sampleRateHz: parsePositiveNumber(stream.sample_rate),
    sampleFormat: parseName(stream.sample_fmt),
    language: parseName(stream.tags['language']),
  };
}

function trackKind({ codec_type: type, disposition }: FfprobeStream): SourceTrack['kind'] {
  if (type === 'video') {
    const { attached_pic: cover, timed_thumbnails: thumbnails, still_image: still } = disposition;
    return [cover, thumbnails, still].includes(1) ? 'picture' : 'video';
  }
  return type === 'audio' || type === 'subtitle' || type === 'attachment' ? type : 'data';
}

/**
 * The audio codecs that the .mp4 muxer of ffmpeg 5.1 accepts, found by trying each. `test/integration/producer/media-tracks.test.ts`
 * tests TrueHD and FLAC.
 */
const MP4_AUDIO = new Set('aac mp3 mp2 mp1 ac3 eac3 alac flac opus dts vorbis mp4als truehd'.split(' '));
/** The audio codecs that its .mov muxer rejects. It accepts nearly all others. */
const NOT_MOV_AUDIO = new Set(['opus', 'flac', 'truehd', 'vorbis', 'mp4als']);

/**
 * A source of the MP4 family stays in it: .mp4 if that holds all of its sound, else .mov (PCM from cameras, AMR from phones),
 * else .mkv. Any other source becomes .mkv, which holds nearly everything. Tracks that it cannot hold are converted without
 * loss (`producer/media/copy-plan.ts`).
 */
function resultContainer({ format }: FfprobeOutput, tracks: readonly SourceTrack[]): ResultContainer {
  if (format?.format_name.split(',').includes('mov') !== true) return 'mkv';
  const audioCodecs = tracks.filter(({ kind }) => kind === 'audio').map(({ codec }) => codec);
  const fitsMov = audioCodecs.every((codec) => codec === undefined || !NOT_MOV_AUDIO.has(codec));
  // Without a brand, it is QuickTime from before brands existed.
  const isMov = (format.tags['major_brand'] ?? 'qt  ').startsWith('qt');
  if (isMov && fitsMov) return 'mov';
  if (audioCodecs.every((codec) => codec !== undefined && MP4_AUDIO.has(codec))) return 'mp4';
  return fitsMov ? 'mov' : 'mkv';
}

/** Matroska declares the end of the picture or of the file; other containers declare the duration. */
function declaredDuration(
  { format }: FfprobeOutput,
  { duration, start_time: start, tags }: FfprobeStream,
): number | undefined {
  const end =
    parseClockSeconds(tags['DURATION'] ?? tags['DURATION-eng']) ?? parsePositiveNumber(format?.duration);
  if (format?.format_name.startsWith('matroska') !== true) return parsePositiveNumber(duration) ?? end;
  return end === undefined ? undefined : Math.max(0, end - (Number(start) || 0));
}

function plausibleRate(text: string | undefined): number | undefined {
  const rate = parseFrameRate(text);
  return rate !== undefined && rate <= FRAMES_PER_SECOND_MAX ? rate : undefined;
}

/**
 * An edit list may hide frames that the header counts; then duration times rate is less than the count. A value that the file
 * has too few bytes for is ignored.
 */
function expectedFrames(counts: readonly (number | undefined)[], framesMax: number): number | undefined {
  const possible = counts.filter((count) => count !== undefined).filter((count) => count <= framesMax);
  return possible.length === 0 ? undefined : Math.max(1, Math.round(Math.min(...possible)));
}

function bitDepth({ pix_fmt: format, bits_per_raw_sample: raw }: FfprobeStream): number {
  const named = /(?:p|gray|x2rgb|x2bgr)0?(9|10|12|14|16)(?:le|be)?$/.exec(format)?.[1];
  return parsePositiveNumber(named ?? raw) ?? 8;
}

function colourRange({ color_range: range, pix_fmt: format }: FfprobeStream): 'tv' | 'pc' | undefined {
  if (range === 'tv' || range === 'pc') return range;
  return format.startsWith('yuvj') ? 'pc' : undefined;
}
