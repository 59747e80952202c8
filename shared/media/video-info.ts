/**
 * What is known of a video before it is decoded.
 *
 * Sizes, ratio and rotation are told as a viewer sees them: upright. What a container leaves unsaid is `undefined` and
 * never a guess, but for the rate, the time base and the pixel ratio, whose stand-ins are named below.
 */
export interface Ratio {
  readonly numerator: number;
  readonly denominator: number;
}

export interface SourceTrack {
  /** ffmpeg's index of the track in its file. */
  readonly index: number;
  /** A picture is a cover, a thumbnail or another still that belongs to the file and is no part of the film. */
  readonly kind: 'video' | 'audio' | 'subtitle' | 'attachment' | 'picture' | 'data';
  readonly codec: string | undefined;
  readonly sampleRateHz: number | undefined;
  /** ffmpeg's name of the samples as they are decoded, such as s16 or fltp; undefined for what is no sound. */
  readonly sampleFormat: string | undefined;
  readonly language: string | undefined;
}

export type ResultContainer = 'mp4' | 'mov' | 'mkv';

export interface VideoInfo {
  /** ffmpeg's name of the demuxer, such as `mov,mp4,m4a,3gp,3g2,mj2`. */
  readonly formatName: string;
  /** The container the result should have. */
  readonly container: ResultContainer;
  readonly fileSizeBytes: number;
  readonly trackIndex: number;
  readonly codec: string;
  readonly pixelFormat: string;
  readonly bitDepth: number;
  /** Upright, in pixels of the frames, not of the screen: the pixel ratio comes on top. */
  readonly width: number;
  readonly height: number;
  /** Clockwise, 0 to 359: what a player must turn the coded picture by. */
  readonly rotationDegrees: number;
  /** Of an upright pixel; 1:1 where unsaid. */
  readonly sampleAspectRatio: Ratio;
  readonly interlaced: boolean;
  readonly hdr: boolean;
  /** ffmpeg's names, such as bt709 or smpte170m. */
  readonly colour: {
    readonly matrix: string | undefined;
    readonly range: 'tv' | 'pc' | undefined;
    readonly primaries: string | undefined;
    readonly transfer: string | undefined;
  };
  /** The average; 25 where unsaid. */
  readonly framesPerSecond: number;
  readonly timeBase: Ratio;
  /** As declared, from the first frame to the end: of the picture where the container says, else of the file. */
  readonly durationSeconds: number | undefined;
  /**
   * How many frames to expect: what the header declares, less what an edit list hides; or duration times rate. Undefined where
   * nothing is declared, or more than the file has bytes for.
   */
  readonly frameCountExpected: number | undefined;
  readonly audioTrackCount: number;
  readonly tracks: readonly SourceTrack[];
}
