/** PURE. Judges whether the programs of the local fleet are installed, recent enough and built with the needed encoders. */
import type { Finding } from '../../../shared/contract/finding.ts';
import { errorFinding, okFinding, warningFinding } from '../finding.ts';

/** The output of each program; null if it is not on the PATH or fails. */
export interface ProgramReadings {
  readonly ffmpegVersion: string | null;
  readonly ffmpegEncoders: string | null;
  readonly ffprobeVersion: string | null;
  readonly redisVersion: string | null;
  /** Undefined on systems other than Linux, where it does not exist. */
  readonly setprivVersion: string | null | undefined;
  /** Without the leading v. */
  readonly nodeVersion: string;
}

const ENCODERS = ['libx264', 'mjpeg'];
/** BullMQ rejects versions before 5 and warns before 6.2. */
const REDIS_MIN = 6.2;
const NODE_MIN = 24;
const INSTALL = 'Install it: apt-get install -y';

export function judgePrograms(readings: ProgramReadings): Finding[] {
  const { ffprobeVersion, setprivVersion } = readings;
  return [
    judgeNode(readings.nodeVersion),
    judgeFfmpeg(readings),
    ffprobeVersion === null
      ? errorFinding('ffprobe', 'not installed; needed to read videos', `${INSTALL} ffmpeg`)
      : okFinding('ffprobe', versionIn(ffprobeVersion)),
    judgeRedis(readings.redisVersion),
    ...(setprivVersion === null
      ? [
          warningFinding(
            'setpriv',
            'not installed; child processes may survive if a fleet process is killed',
            `${INSTALL} util-linux`,
          ),
        ]
      : []),
  ];
}

function judgeNode(version: string): Finding {
  return Number.parseInt(version, 10) >= NODE_MIN
    ? okFinding('node', version)
    : errorFinding(
        'node',
        `${version} is too old: version ${NODE_MIN} or later is required`,
        'Run the commands with `npm run`, which uses the Node version of the lock file. If that version is missing: npm ci',
      );
}

function judgeFfmpeg({ ffmpegVersion, ffmpegEncoders }: ProgramReadings): Finding {
  if (ffmpegVersion === null)
    return errorFinding('ffmpeg', 'not installed; needed to split and stitch videos', `${INSTALL} ffmpeg`);
  const encoders = new Set((ffmpegEncoders ?? '').split(/\s+/));
  const missing = ENCODERS.filter((name) => !encoders.has(name));
  return missing.length === 0
    ? okFinding('ffmpeg', `${versionIn(ffmpegVersion)}, with ${ENCODERS.join(' and ')}`)
    : errorFinding(
        'ffmpeg',
        `${versionIn(ffmpegVersion)}, built without ${missing.join(' and ')}`,
        'Use the ffmpeg of your distribution, or a build with --enable-gpl --enable-libx264.',
      );
}

function judgeRedis(text: string | null): Finding {
  if (text === null)
    return errorFinding(
      'redis',
      'redis-server is not installed; needed to track jobs',
      `${INSTALL} redis-server`,
    );
  const version = versionIn(text);
  return Number.parseFloat(version) >= REDIS_MIN
    ? okFinding('redis', version)
    : warningFinding('redis', `${version} is older than ${REDIS_MIN}`, 'Upgrade redis-server.');
}

/** The first version number in the text: `5.1.9`, `7.0.15`. */
function versionIn(text: string): string {
  return /\d+(?:\.\d+)+/.exec(text)?.[0] ?? 'unknown version';
}
