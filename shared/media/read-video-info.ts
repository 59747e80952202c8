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
/** High-speed cameras play back at an ordinary rate; a header that declares more than this is wrong. */
const FRAMES_PER_SECOND_MAX = 10_000;
/** A frame that repeats the one before takes about 12 bytes in H.264, and a dropped frame of an .avi 8 in its index. */
const FRAME_BYTES_MIN = 8;

/** Codecs of stills, which a track of one frame may hold beside the film. */
const STILL_CODECS = new Set(['mjpeg', 'png', 'bmp', 'gif', 'webp', 'tiff', 'jpeg2000']);

/**
 * The track that a player shows: of the moving pictures the one that is flagged as default, then the largest, then the first.
 * Never a cover or a thumbnail, wherever it stands.
 */
export function findVideoStream({ streams }: FfprobeAnswer): FfprobeStream | undefined {
  const videos = streams.filter((stream) => kindOf(stream) === 'video');
  const moving = videos.filter((stream) => !isStill(stream));
  const [best] = (moving.length > 0 ? moving : videos).toSorted(
    (a, b) => flagOf(b) - flagOf(a) || b.width * b.height - a.width * a.height,
  );
  return best;
}

function flagOf({ disposition }: FfprobeStream): number {
  return disposition.default ?? 0;
}

/** A single frame in a codec of stills, not flagged as a cover. */
function isStill({ codec_name: codec = '', nb_frames: count, tags }: FfprobeStream): boolean {
  const declared = count ?? tags['NUMBER_OF_FRAMES'] ?? tags['NUMBER_OF_FRAMES-eng'];
  return STILL_CODECS.has(codec) && declared === '1';
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
  const tracks = answer.streams.map((one) =>
    one !== stream && isStill(one) ? { ...trackOf(one), kind: 'picture' as const } : trackOf(one),
  );
  const rotation = stream.side_data_list.find((data) => data.rotation !== undefined)?.rotation ?? 0;
  const rotationDegrees = (((Math.round(-rotation) % 360) + 360) % 360) + 0;
  const onItsSide = rotationDegrees === 90 || rotationDegrees === 270;
  const ratio = positiveRatio(stream.sample_aspect_ratio) ?? { numerator: 1, denominator: 1 };
  const framesPerSecond =
    believableRate(stream.avg_frame_rate) ?? believableRate(stream.r_frame_rate) ?? FRAMES_PER_SECOND_UNSAID;
  const durationSeconds = durationOf(answer, stream);
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
    frameCountExpected: expectedFrames(
      [
        positiveNumber(stream.nb_frames),
        durationSeconds === undefined ? undefined : durationSeconds * framesPerSecond,
      ],
      Math.ceil(fileSizeBytes / FRAME_BYTES_MIN),
    ),
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
    sampleFormat: said(stream.sample_fmt),
    language: said(stream.tags['language']),
  };
}

function kindOf({ codec_type: type, disposition }: FfprobeStream): SourceTrack['kind'] {
  if (type === 'video') {
    const { attached_pic: cover, timed_thumbnails: thumbnails, still_image: still } = disposition;
    return [cover, thumbnails, still].includes(1) ? 'picture' : 'video';
  }
  return type === 'audio' || type === 'subtitle' || type === 'attachment' ? type : 'data';
}

/** Sound that ffmpeg's muxer for .mp4 takes. Found by trying: `test/integration/media-sound.test.ts`. */
const MP4_SOUND = new Set('aac mp3 mp2 mp1 ac3 eac3 alac flac opus dts vorbis mp4als truehd'.split(' '));
/** Of this its muxer for .mov takes nothing; it takes nearly all other sound. */
const NOT_MOV_SOUND = new Set(['opus', 'flac', 'truehd', 'vorbis', 'mp4als']);

/**
 * Files of the MP4 family stay in it: .mp4 where that holds all their sound, else .mov (PCM from cameras, AMR from phones), else
 * .mkv. Everything else becomes .mkv, which holds nearly everything. What it cannot hold is converted without loss: `copy-plan.ts`.
 */
function containerOf({
  answer: { format },
  tracks,
}: {
  readonly answer: FfprobeAnswer;
  readonly tracks: readonly SourceTrack[];
}): ResultContainer {
  if (format?.format_name.split(',').includes('mov') !== true) return 'mkv';
  const sound = tracks.filter(({ kind }) => kind === 'audio').map(({ codec }) => codec);
  const fitsMov = sound.every((codec) => codec === undefined || !NOT_MOV_SOUND.has(codec));
  // No brand at all is QuickTime from before there were brands.
  const isMov = (format.tags['major_brand'] ?? 'qt  ').startsWith('qt');
  if (isMov && fitsMov) return 'mov';
  if (sound.every((codec) => codec !== undefined && MP4_SOUND.has(codec))) return 'mp4';
  return fitsMov ? 'mov' : 'mkv';
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

function believableRate(text: string | undefined): number | undefined {
  const rate = rateOf(text);
  return rate !== undefined && rate <= FRAMES_PER_SECOND_MAX ? rate : undefined;
}

/**
 * An edit list hides frames that the header counts: duration times rate is then less than the count. What the file has too few
 * bytes for says nothing.
 */
function expectedFrames(counts: readonly (number | undefined)[], framesMax: number): number | undefined {
  const possible = counts.filter((count) => count !== undefined).filter((count) => count <= framesMax);
  return possible.length === 0 ? undefined : Math.max(1, Math.round(Math.min(...possible)));
}

function bitDepthOf({ pix_fmt: format, bits_per_raw_sample: raw }: FfprobeStream): number {
  const named = /(?:p|gray|x2rgb|x2bgr)0?(9|10|12|14|16)(?:le|be)?$/.exec(format)?.[1];
  return positiveNumber(named ?? raw) ?? 8;
}

function rangeOf({ color_range: range, pix_fmt: format }: FfprobeStream): 'tv' | 'pc' | undefined {
  if (range === 'tv' || range === 'pc') return range;
  return format.startsWith('yuvj') ? 'pc' : undefined;
}
