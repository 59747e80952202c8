/** PURE. Explains why this machine cannot reach a server, and judges its clock. */
import type { Finding } from '../../../shared/contract/finding.ts';
import { errorFinding, okFinding, warningFinding } from '../finding.ts';

/**
 * reached       a connection was made
 * unresolvable  the host name cannot be resolved
 * refused       no program listens on the port
 * silent        no response in time
 * untrusted     the certificate is not valid for the server
 * failed        another error, for example a sandbox that blocks connections
 */
export type Reach = 'reached' | 'unresolvable' | 'refused' | 'silent' | 'untrusted' | 'failed';

export interface ReachReading {
  readonly host: string;
  readonly port: number;
  readonly reach: Reach;
  /** Whether a job needs this server. */
  readonly isNeeded: boolean;
}

const REASONS: Readonly<Record<Exclude<Reach, 'reached'>, readonly [message: string, hint: string]>> = {
  unresolvable: [
    'the host name cannot be resolved',
    'Check the account names in .env. If they are correct, check the DNS server and VPN of this machine.',
  ],
  refused: [
    'connection refused',
    'Check that the server is running. To start an emulator: docker compose up, or npm start.',
  ],
  silent: [
    'no response',
    'A firewall or proxy on your network may block the connection. Allow outbound traffic to Azure on port 443, or try another network.',
  ],
  untrusted: [
    'the certificate is not trusted',
    'A proxy on your network may inspect TLS. Pass its certificate to Node: NODE_EXTRA_CA_CERTS=/path/to.pem',
  ],
  failed: [
    'the connection failed',
    'Check whether a sandbox or firewall on this machine blocks outbound connections.',
  ],
};

/** One finding per reason, for the needed servers and the others; a single `ok` if all are reached. */
export function judgeReach(readings: readonly ReachReading[]): Finding[] {
  const problems = (Object.keys(REASONS) as (keyof typeof REASONS)[]).flatMap((reason) => {
    const [message, hint] = REASONS[reason];
    return [true, false].flatMap((isNeeded) => {
      const servers = readings
        .filter((one) => one.reach === reason && one.isNeeded === isNeeded)
        .map(({ host, port }) => `${host}:${port}`);
      if (servers.length === 0) return [];
      const sentence = `cannot reach ${servers.join(', ')}: ${message}`;
      return [isNeeded ? errorFinding('network', sentence, hint) : warningFinding('network', sentence, hint)];
    });
  });
  const hosts = [...new Set(readings.map(({ host }) => host))];
  return problems.length > 0 ? problems : [okFinding('network', `reached: ${hosts.join(', ')}`)];
}

/** Azure rejects tokens and signatures when the skew is several minutes. Leases use monotonic time and are not affected. */
const SKEW_MS_MAX = 5 * 60_000;
/** Warns well before that. */
const SKEW_MS_OK = 30_000;

/** `theirAt` is the `Date` header of a response, which has a resolution of one second. */
export function judgeClock(oursAt: Date, theirAt: Date): Finding {
  const skewMs = oursAt.getTime() - theirAt.getTime();
  if (Number.isNaN(skewMs))
    return warningFinding(
      'clock',
      'the response has no Date header',
      'Check that storage sent the response. A proxy on your network may have sent it.',
    );
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  const message = `${seconds} s ${skewMs < 0 ? 'behind' : 'ahead of'} storage`;
  const hint = 'Synchronize the clock: timedatectl set-ntp true. In a virtual machine, run this on the host.';
  if (Math.abs(skewMs) > SKEW_MS_MAX)
    return errorFinding('clock', `${message}: Azure rejects tokens and signed URLs`, hint);
  if (Math.abs(skewMs) > SKEW_MS_OK) return warningFinding('clock', message, hint);
  return okFinding('clock', seconds < 2 ? 'in sync with storage' : message);
}
