/** PURE. What keeps this machine from a server, and what this machine's clock has to do with it. */
import type { Finding } from '../../../shared/contract/finding.ts';
import { right, warning, wrong } from '../finding.ts';

/**
 * reached       a connection was made
 * unresolvable  its name is not known here
 * refused       nobody listens there
 * silent        nothing came back in time
 * untrusted     something answers, with a certificate that is not the server's
 * failed        for another reason: a sandbox, say
 */
export type Reach = 'reached' | 'unresolvable' | 'refused' | 'silent' | 'untrusted' | 'failed';

export interface ReachReading {
  readonly host: string;
  readonly port: number;
  readonly reach: Reach;
  /** Whether a job needs it. */
  readonly isNeeded: boolean;
}

const TROUBLES: Readonly<Record<Exclude<Reach, 'reached'>, readonly [says: string, todo: string]>> = {
  unresolvable: [
    'no such name is known here',
    'Look for a slip in .env; else see that this machine’s name server (and its VPN) is well.',
  ],
  refused: ['nobody listens there', 'Is it up? Of an emulator: docker compose up, or npm start.'],
  silent: [
    'nothing comes back',
    'A firewall or proxy of your network drops it: let port 443 out to Azure, or try from another network.',
  ],
  untrusted: [
    'what answers there has another certificate',
    'A proxy of your network looks into TLS: give Node its certificate with NODE_EXTRA_CA_CERTS=/path/to.pem',
  ],
  failed: [
    'the connection fails',
    'See what this machine lets programs do: a sandbox, a firewall of its own.',
  ],
};

/** A line for each kind of trouble. */
export function judgeReach(readings: readonly ReachReading[]): Finding[] {
  const troubles = (Object.keys(TROUBLES) as (keyof typeof TROUBLES)[]).flatMap((kind) => {
    const [says, todo] = TROUBLES[kind];
    return [true, false].flatMap((isNeeded) => {
      const places = readings
        .filter((one) => one.reach === kind && one.isNeeded === isNeeded)
        .map(({ host, port }) => `${host}:${port}`);
      if (places.length === 0) return [];
      const sentence = `${places.join(', ')} cannot be reached: ${says}`;
      return [isNeeded ? wrong('network', sentence, todo) : warning('network', sentence, todo)];
    });
  });
  const hosts = [...new Set(readings.map(({ host }) => host))];
  return troubles.length > 0 ? troubles : [right('network', `reached: ${hosts.join(', ')}`)];
}

/** Tokens and signatures are refused beyond some minutes; a lease is kept by monotonic time and does not mind. */
const SKEW_MS_EASY = 30_000;
const SKEW_MS_MAX = 5 * 60_000;

/** `theirAt`: by the `Date` of an answer, to the second. */
export function judgeClock({ oursAt, theirAt }: { readonly oursAt: Date; readonly theirAt: Date }): Finding {
  const skewMs = oursAt.getTime() - theirAt.getTime();
  if (Number.isNaN(skewMs))
    return warning(
      'clock',
      'what answers has none',
      'Is that storage? A proxy of your network may have answered.',
    );
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  const says = `${seconds} s ${skewMs < 0 ? 'behind' : 'ahead of'} storage’s`;
  const todo = 'Set it by the network: timedatectl set-ntp true (in a virtual machine: on its host).';
  if (Math.abs(skewMs) > SKEW_MS_MAX)
    return wrong('clock', `${says}: tokens and addresses are refused`, todo);
  if (Math.abs(skewMs) > SKEW_MS_EASY) return warning('clock', says, todo);
  return right('clock', seconds < 2 ? 'as storage’s' : says);
}
