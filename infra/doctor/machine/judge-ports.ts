/** PURE. Whether the fleet can listen where it must. */
import type { Finding } from '../../../shared/contract/finding.ts';
import { right, warning, wrong } from '../finding.ts';

export interface PortReadings {
  /** Why no port of the loopback interface can be had; null where one can. */
  readonly loopbackTrouble: string | null;
  /** Of docker-compose.yml, taken by somebody; null where Docker is not here. */
  readonly composeTaken: readonly number[] | null;
}

export function judgePorts({ loopbackTrouble, composeTaken }: PortReadings): Finding[] {
  const loopback =
    loopbackTrouble === null
      ? right('ports', 'free ones can be had on 127.0.0.1')
      : wrong(
          'ports',
          `none can be had on 127.0.0.1: ${loopbackTrouble}`,
          'A sandbox or a firewall forbids it: run this where programs may listen on the loopback interface.',
        );
  if (composeTaken === null) return [loopback];
  const compose =
    composeTaken.length === 0
      ? right('compose', 'its ports are free')
      : warning(
          'compose',
          `taken: ${composeTaken.join(', ')}`,
          'By `docker compose up` itself that is fine; by others, stop them before it. Nothing else needs these ports.',
        );
  return [loopback, compose];
}
