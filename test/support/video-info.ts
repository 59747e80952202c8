/** An ordinary video: H.264 of 64 x 48 at 25 frames a second in an .mp4, no sound. Pass the fields that differ. */
import type { VideoInfo } from '../../shared/media/video-info.ts';

export function videoInfo(differences: Partial<VideoInfo> = {}): VideoInfo {
  return {
    formatName: 'mov,mp4,m4a,3gp,3g2,mj2',
    container: 'mp4',
    fileSizeBytes: 10_000,
    trackIndex: 0,
    codec: 'h264',
    pixelFormat: 'yuv420p',
    bitDepth: 8,
    width: 64,
    height: 48,
    rotationDegrees: 0,
    sampleAspectRatio: { numerator: 1, denominator: 1 },
    interlaced: false,
    hdr: false,
    colour: {
      matrix: undefined,
      range: undefined,
      primaries: undefined,
      transfer: undefined,
      chromaLocation: undefined,
    },
    framesPerSecond: 25,
    timeBase: { numerator: 1, denominator: 12_800 },
    durationSeconds: 2,
    frameCountExpected: 50,
    audioTrackCount: 0,
    tracks: [
      {
        index: 0,
        kind: 'video',
        codec: 'h264',
        sampleRateHz: undefined,
        sampleFormat: undefined,
        language: undefined,
      },
    ],
    ...differences,
  };
}
