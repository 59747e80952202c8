/**
 * What is known about a video before it is decoded.
 *
 * Sizes and ratios are those of the upright picture, as a viewer sees it. A value that the container does not declare is
 * `undefined`, except for the frame rate, the time base and the pixel ratio, which have the defaults given below.
 */
import type { ResultContainer } from '../contract/encoding.ts';

export interface Ratio {
  readonly numerator: number;
  readonly denominator: number;
}

export interface SourceTrack {
  /** ffmpeg's index of the track in the file. */
  readonly index: number;
  /** `picture` is a cover, a thumbnail or another still image that is not part of the film. */
  readonly kind: 'video' | 'audio' | 'subtitle' | 'attachment' | 'picture' | 'data';
  readonly codec: string | undefined;
  readonly sampleRateHz: number | undefined;
  /** ffmpeg's name for the format of decoded samples, such as s16 or fltp; undefined unless the track is audio. */
  readonly sampleFormat: string | undefined;
  readonly language: string | undefined;
}

export interface VideoInfo {
  /** ffmpeg's name for the demuxer, such as `mov,mp4,m4a,3gp,3g2,mj2`. */
  readonly formatName: string;
  /** The container the result should have. */
  readonly container: ResultContainer;
  readonly fileSizeBytes: number;
  readonly trackIndex: number;
  readonly codec: string;
  readonly pixelFormat: string;
  readonly bitDepth: number;
  /** Upright, in pixels of the frame, before the pixel ratio is applied. */
  readonly width: number;
  readonly height: number;
  /** 0 to 359: how far a player must turn the coded picture clockwise. */
  readonly rotationDegrees: number;
  /** Of an upright pixel; 1:1 if the container does not declare it. */
  readonly sampleAspectRatio: Ratio;
  readonly interlaced: boolean;
  readonly hdr: boolean;
  /** ffmpeg's names, such as bt709 or smpte170m. */
  readonly colour: {
    readonly matrix: string | undefined;
    readonly range: 'tv' | 'pc' | undefined;
    readonly primaries: string | undefined;
    readonly transfer: string | undefined;
    readonly chromaLocation: string | undefined;
  };
  /** The average; 25 if the container does not declare it. */
  readonly framesPerSecond: number;
  /** In seconds; 1:1000 if the container does not declare it. */
  readonly timeBase: Ratio;
  /** Declared duration from the first frame to the end: of the picture if the container declares it, else of the file. */
  readonly durationSeconds: number | undefined;
  /**
   * The lower of the frame count that the header declares and duration times rate. A declared value that the file has too few
   * bytes for is ignored; undefined if no value is left.
   */
  readonly frameCountExpected: number | undefined;
  readonly audioTrackCount: number;
  readonly tracks: readonly SourceTrack[];
}
