/** PURE. Whether the programs of the local fleet are there, and can do what is asked of them. */
import type { Finding } from '../../../shared/contract/finding.ts';
import { right, warning, wrong } from '../finding.ts';

/** What a program printed; null where it is not on the PATH, or could not be run. */
export interface ProgramReadings {
  readonly ffmpegVersion: string | null;
  readonly ffmpegEncoders: string | null;
  readonly ffprobeVersion: string | null;
  readonly redisVersion: string | null;
  /** Undefined where the system has none: it is Linux's. */
  readonly setprivVersion: string | null | undefined;
  /** Without the leading v. */
  readonly nodeVersion: string;
}

const ENCODERS = ['libx264', 'mjpeg'];
/** BullMQ refuses what is older than 5, and warns below 6.2. */
const REDIS_MIN = 6.2;
const NODE_MIN = 24;
const APT = 'apt-get install -y';

export function judgePrograms(readings: ProgramReadings): Finding[] {
  const { ffprobeVersion, setprivVersion } = readings;
  return [
    judgeNode(readings.nodeVersion),
    judgeFfmpeg(readings),
    ffprobeVersion === null
      ? wrong('ffprobe', 'not installed: no video can be looked into', `${APT} ffmpeg`)
      : right('ffprobe', versionIn(ffprobeVersion)),
    judgeRedis(readings.redisVersion),
    ...(setprivVersion === null
      ? [warning('setpriv', 'not installed: what is killed may leave processes behind', `${APT} util-linux`)]
      : []),
  ];
}

function judgeNode(version: string): Finding {
  return Number.parseInt(version, 10) >= NODE_MIN
    ? right('node', version)
    : wrong(
        'node',
        `${version}: ${NODE_MIN} or later runs these programs`,
        'Start them with `npm run`, which puts the locked Node first; where it is missing: npm ci',
      );
}

function judgeFfmpeg({ ffmpegVersion, ffmpegEncoders }: ProgramReadings): Finding {
  if (ffmpegVersion === null)
    return wrong('ffmpeg', 'not installed: nothing can be split or stitched', `${APT} ffmpeg`);
  const encoders = new Set((ffmpegEncoders ?? '').split(/\s+/));
  const missing = ENCODERS.filter((name) => !encoders.has(name));
  return missing.length === 0
    ? right('ffmpeg', `${versionIn(ffmpegVersion)}, with ${ENCODERS.join(' and ')}`)
    : wrong(
        'ffmpeg',
        `${versionIn(ffmpegVersion)} was built without ${missing.join(' and ')}`,
        'Use the one of the distribution, or one that was built with --enable-gpl --enable-libx264.',
      );
}

function judgeRedis(text: string | null): Finding {
  if (text === null)
    return wrong('redis', 'redis-server is not installed: jobs have no ledger', `${APT} redis-server`);
  const version = versionIn(text);
  return Number.parseFloat(version) >= REDIS_MIN
    ? right('redis', version)
    : warning('redis', `${version} is older than ${REDIS_MIN}`, 'Upgrade redis-server.');
}

/** The first thing that looks like a version: `5.1.9`, `7.0.15`. */
function versionIn(text: string): string {
  return /\d+(?:\.\d+)+/.exec(text)?.[0] ?? 'of unknown version';
}
