/** PURE. Judges whether the fleet can listen on the ports that it needs. */
import type { Finding } from '../../../shared/contract/finding.ts';
import { errorFinding, okFinding, warningFinding } from '../finding.ts';

export interface PortReadings {
  /** Why no port on the loopback interface is available; null if one is. */
  readonly loopbackError: string | null;
  /** Ports of docker-compose.yml that are in use; null if Docker is not installed. */
  readonly composeTaken: readonly number[] | null;
}

export function judgePorts({ loopbackError, composeTaken }: PortReadings): Finding[] {
  const loopback =
    loopbackError === null
      ? okFinding('ports', 'free ports are available on 127.0.0.1')
      : errorFinding(
          'ports',
          `no port is available on 127.0.0.1: ${loopbackError}`,
          'A sandbox or firewall blocks it. Use a machine where programs can listen on the loopback interface.',
        );
  if (composeTaken === null) return [loopback];
  const compose =
    composeTaken.length === 0
      ? okFinding('compose', 'the ports of docker-compose.yml are free')
      : warningFinding(
          'compose',
          `ports of docker-compose.yml in use: ${composeTaken.join(', ')}`,
          'If `docker compose up` is running, ignore this. Otherwise stop the programs that use the ports before you run it. npm start does not need them.',
        );
  return [loopback, compose];
}
