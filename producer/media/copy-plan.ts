/**
 * PURE. What of the source besides its picture goes into the result, and what cannot, as sentences for a person.
 *
 * Sound is always copied. The rest is copied where the container of the result can hold it; the lists are what
 * ffmpeg's muxers take, kept to what is common.
 */
import type { ResultContainer, SourceTrack, VideoInfo } from '../../shared/media/video-info.ts';
import type { Timeline } from './timeline.ts';

export interface CopyPlan {
  /** ffmpeg's indices of the source's tracks, in the order of the source. */
  readonly copied: readonly SourceTrack[];
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

export function planCopies({ container, tracks, trackIndex }: VideoInfo): CopyPlan {
  const others = tracks.filter((track) => track.index !== trackIndex && !isChapterText(track));
  const copied = others.filter((track) => track.kind === 'audio' || HOLDS[container](track));
  const warnings = others
    .filter((track) => !copied.includes(track))
    .map(
      ({ index, kind, codec = 'unknown' }) =>
        `Track ${index} of the source (${kind}, ${codec}) is not copied: ` +
        (kind === 'video'
          ? 'only the first picture track is scored.'
          : `an .${container} result cannot hold it.`),
    );
  return { copied, warnings };
}

/** What the result loses against its source whatever the model does. */
export function lossesOf({
  video,
  timeline,
  width,
  height,
}: {
  readonly video: VideoInfo;
  readonly timeline: Timeline;
  /** Of the scored frames. */
  readonly width: number;
  readonly height: number;
}): readonly string[] {
  const losses: string[] = [];
  if (video.bitDepth > 8) losses.push(`The source has ${video.bitDepth} bits per colour; the result has 8.`);
  if (video.hdr)
    losses.push(
      'The source is HDR; the result keeps its curve and its tags, in 8 bits, and is not tone-mapped.',
    );
  if (video.interlaced) {
    losses.push(
      'The source is interlaced; its two fields were scored as one frame, and the result is progressive.',
    );
  }
  if ((timeline.pts[0] ?? 0) < 0) {
    losses.push(
      'The source begins before zero, where no player looks: all tracks are moved later, together.',
    );
  }
  if (width % 2 === 1 || height % 2 === 1) {
    losses.push(
      `The scored frames have ${width} x ${height} pixels; H.264 needs even sizes, ` +
        `so the result has ${evenUp(width)} x ${evenUp(height)}, its last column or row repeated.`,
    );
  }
  return losses;
}

export function evenUp(pixels: number): number {
  return pixels + (pixels % 2);
}

function holdsInMpeg4({ kind, codec = '' }: SourceTrack): boolean {
  return kind === 'picture' || (kind === 'subtitle' && MPEG4_SUBTITLES.has(codec));
}

/** Chapters of an .mp4 are a track of their own there; ffmpeg writes it anew from the chapters. */
function isChapterText({ kind, codec }: SourceTrack): boolean {
  return kind === 'data' && codec === 'bin_data';
}
