/**
 * PURE. Plans which tracks of the source besides the video go into the result, and how. Writes the warnings for what is lost.
 *
 * A track is copied if the container of the result can hold it. Audio that it cannot hold is converted losslessly: to PCM with the
 * same samples, or to ALAC in .mp4. Other tracks that it cannot hold are omitted with a warning. The lists cover the common codecs
 * that ffmpeg's muxers accept; `try-tracks.ts` tests the plan before any work is done and corrects it.
 */
import type { ResultContainer } from '../../shared/contract/encoding.ts';
import type { SourceTrack, VideoInfo } from '../../shared/media/video-info.ts';
import type { Timeline } from './timeline.ts';

/** A track of the source that goes into the result. */
export interface PlannedTrack {
  readonly track: SourceTrack;
  /** A lossless ffmpeg encoder, or `copy`. */
  readonly codec: string;
}

export interface TrackPlan {
  /** In source order. */
  readonly tracks: readonly PlannedTrack[];
  readonly warnings: readonly string[];
}

const MPEG4_SUBTITLES = new Set(['mov_text', 'dvd_subtitle']);
const MATROSKA_SUBTITLES = new Set(
  'subrip srt ass ssa webvtt text dvd_subtitle dvb_subtitle hdmv_pgs_subtitle hdmv_text_subtitle'.split(' '),
);

const HOLDS: Readonly<Record<ResultContainer, (track: SourceTrack) => boolean>> = {
  mkv: ({ kind, codec = '' }) =>
    kind === 'attachment' || (kind === 'subtitle' && MATROSKA_SUBTITLES.has(codec)),
  mp4: holdsInMpeg4,
  mov: holdsInMpeg4,
};

/** The PCM codec that holds the same values, by the sample format of the decoder. */
const PCM_CODECS: Readonly<Record<string, string>> = {
  u8: 'pcm_s16le',
  s16: 'pcm_s16le',
  s32: 'pcm_s32le',
  flt: 'pcm_f32le',
  dbl: 'pcm_f64le',
};

/** Copies every track that the container can hold, and all audio tracks until a trial shows otherwise. */
export function planTracks({ container, tracks, trackIndex }: VideoInfo): TrackPlan {
  const others = tracks.filter((track) => track.index !== trackIndex && !isChapterText(track));
  const held = others.filter((track) => track.kind === 'audio' || HOLDS[container](track));
  return {
    tracks: held.map((track) => ({ track, codec: 'copy' })),
    warnings: others
      .filter((track) => !held.includes(track))
      .map((track) => omissionWarning(track, container)),
  };
}

/** The fallback for a track that the muxer rejected: audio is converted, then omitted; other tracks are omitted. */
export function secondBest(
  { track, codec }: PlannedTrack,
  container: ResultContainer,
): { readonly planned: PlannedTrack | undefined; readonly warning: string } {
  const lossless = track.kind === 'audio' && codec === 'copy' ? losslessCodec(track, container) : undefined;
  if (lossless === undefined) return { planned: undefined, warning: omissionWarning(track, container) };
  return {
    planned: { track, codec: lossless },
    warning: `${nameOf(track)} is converted to ${lossless} without loss, because an .${container} file cannot hold it as it is.`,
  };
}

export interface ResultVideo {
  readonly video: VideoInfo;
  readonly timeline: Timeline;
  /** The size of the scored frames, in pixels. */
  readonly width: number;
  readonly height: number;
  /** Whether an odd size is made even. */
  readonly isPadded: boolean;
}

/** Warnings about what the result loses compared with its source, whatever the model does. */
export function lossesOf({ video, timeline, width, height, isPadded }: ResultVideo): readonly string[] {
  const losses: string[] = [];
  if (video.bitDepth > 8)
    losses.push(`The source has ${video.bitDepth} bits per colour channel; the result has 8.`);
  if (video.hdr)
    losses.push(
      'The source is HDR. The result keeps its transfer function and colour tags in 8 bits and is not tone-mapped.',
    );
  if (video.interlaced) {
    losses.push(
      'The source is interlaced. Both fields are scored as one frame, and the result is progressive.',
    );
  }
  if ((timeline.pts[0] ?? 0) < 0) {
    losses.push(
      'The source starts at a negative timestamp, which players do not show. All tracks are shifted to start at zero.',
    );
  }
  if (isPadded && (width % 2 === 1 || height % 2 === 1)) {
    losses.push(
      `The scored frames have ${width} x ${height} pixels. The encoder requires even dimensions, ` +
        `so the result has ${evenUp(width)} x ${evenUp(height)}, with the last column or row repeated.`,
    );
  }
  return losses;
}

function evenUp(pixels: number): number {
  return pixels + (pixels % 2);
}

function losslessCodec({ codec, sampleFormat }: SourceTrack, container: ResultContainer): string | undefined {
  if (codec === undefined || sampleFormat === undefined) return undefined;
  // Planar formats (such as fltp) hold the same values.
  return container === 'mp4' ? 'alac' : PCM_CODECS[sampleFormat.replace(/p$/, '')];
}

function omissionWarning(track: SourceTrack, container: ResultContainer): string {
  return `${nameOf(track)} is not copied: ${omissionReason(track, container)}`;
}

function omissionReason({ kind }: SourceTrack, container: ResultContainer): string {
  if (kind === 'video') return 'only the main video track is scored.';
  const cannotHold = `an .${container} file cannot hold it.`;
  return kind === 'audio' ? `the track is empty or damaged, or ${cannotHold}` : cannotHold;
}

function nameOf({ index, kind, codec = 'unknown' }: SourceTrack): string {
  return `Track ${index} of the source (${kind}, ${codec})`;
}

function holdsInMpeg4({ kind, codec = '' }: SourceTrack): boolean {
  return kind === 'picture' || (kind === 'subtitle' && MPEG4_SUBTITLES.has(codec));
}

/** The text track that holds the chapter titles of an .mp4. ffmpeg creates a new one from the chapters. */
function isChapterText({ kind, codec }: SourceTrack): boolean {
  return kind === 'data' && codec === 'bin_data';
}
