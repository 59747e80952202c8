/**
 * PURE. What of the source besides its picture goes into the result and how, and what cannot, as sentences for a person.
 *
 * A track is copied where the result's container can hold it. Sound that it cannot hold is converted without loss: to PCM with
 * the same samples, or to ALAC in .mp4. Of the rest, what cannot be held is left out with a warning. The lists are what ffmpeg's
 * muxers take, kept to what is common; `try-tracks.ts` tries the plan before any work is done, and takes back what fails.
 */
import type { ResultContainer, SourceTrack, VideoInfo } from '../../shared/media/video-info.ts';
import type { Timeline } from './timeline.ts';

/** A track of the source that is in the result. */
export interface PlannedTrack {
  readonly track: SourceTrack;
  /** An encoder of ffmpeg's without loss, or `copy`. */
  readonly codec: string;
}

export interface TrackPlan {
  /** In the order of the source. */
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

/** PCM with the same values, by the format of the decoded samples. */
const PCM_CODECS: Readonly<Record<string, string>> = {
  u8: 'pcm_s16le',
  s16: 'pcm_s16le',
  s32: 'pcm_s32le',
  flt: 'pcm_f32le',
  dbl: 'pcm_f64le',
};

/** All that may be copied. Sound is copied unless trying shows that it cannot be. */
export function planTracks({ container, tracks, trackIndex }: VideoInfo): TrackPlan {
  const others = tracks.filter((track) => track.index !== trackIndex && !isChapterText(track));
  const held = others.filter((track) => track.kind === 'audio' || HOLDS[container](track));
  return {
    tracks: held.map((track) => ({ track, codec: 'copy' })),
    warnings: others.filter((track) => !held.includes(track)).map((track) => leftOut(track, container)),
  };
}

/** The next best for a track that the container did not take: sound is converted, then left out; the rest is left out. */
export function secondBest(
  { track, codec }: PlannedTrack,
  container: ResultContainer,
): { readonly planned: PlannedTrack | undefined; readonly warning: string } {
  const lossless = track.kind === 'audio' && codec === 'copy' ? losslessCodec(track, container) : undefined;
  if (lossless === undefined) return { planned: undefined, warning: leftOut(track, container) };
  return {
    planned: { track, codec: lossless },
    warning: `${nameOf(track)} is converted to ${lossless}, without loss: an .${container} result cannot hold it as it is.`,
  };
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

function losslessCodec({ codec, sampleFormat }: SourceTrack, container: ResultContainer): string | undefined {
  if (codec === undefined || sampleFormat === undefined) return undefined;
  // Planar samples (fltp) have the same values.
  return container === 'mp4' ? 'alac' : PCM_CODECS[sampleFormat.replace(/p$/, '')];
}

function leftOut(track: SourceTrack, container: ResultContainer): string {
  return `${nameOf(track)} is not copied: ${whyLeftOut(track, container)}`;
}

function whyLeftOut({ kind }: SourceTrack, container: ResultContainer): string {
  if (kind === 'video') return 'only the main picture track is scored.';
  const cannotHold = `an .${container} result cannot hold it.`;
  return kind === 'audio' ? `it is empty or damaged, or ${cannotHold}` : cannotHold;
}

function nameOf({ index, kind, codec = 'unknown' }: SourceTrack): string {
  return `Track ${index} of the source (${kind}, ${codec})`;
}

function holdsInMpeg4({ kind, codec = '' }: SourceTrack): boolean {
  return kind === 'picture' || (kind === 'subtitle' && MPEG4_SUBTITLES.has(codec));
}

/** Chapters of an .mp4 are a track of their own there; ffmpeg writes it anew from the chapters. */
function isChapterText({ kind, codec }: SourceTrack): boolean {
  return kind === 'data' && codec === 'bin_data';
}
