/** Tests whether a server can be reached: name resolution, TCP connection and TLS handshake. Sends no request. */
import { connect as connectPlain } from 'node:net';
import { connect as connectTls } from 'node:tls';

import { errnoOf } from '../../../shared/runtime/errors.ts';
import type { Reach, ReachReading } from './judge-network.ts';

const CONNECT_MS = 5_000;

export interface Server {
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  /** Whether a job needs this server. */
  readonly isNeeded: boolean;
}

export function probeServer({ host, port, isTls, isNeeded }: Server): Promise<ReachReading> {
  return new Promise((resolve) => {
    const socket = isTls
      ? connectTls({ host, port, servername: host, timeout: CONNECT_MS })
      : connectPlain({ host, port, timeout: CONNECT_MS });
    const end = (result: Reach): void => {
      socket.destroy();
      resolve({ host, port, isNeeded, reach: result });
    };
    socket.once(isTls ? 'secureConnect' : 'connect', () => end('reached'));
    socket.once('timeout', () => end('silent'));
    socket.on('error', (error) => end(reachOf(errnoOf(error) ?? '')));
  });
}

const REACH_OF: Readonly<Record<string, Reach>> = {
  ENOTFOUND: 'unresolvable',
  EAI_AGAIN: 'unresolvable',
  ECONNREFUSED: 'refused',
  ECONNRESET: 'silent',
  ETIMEDOUT: 'silent',
  EHOSTUNREACH: 'silent',
  ENETUNREACH: 'silent',
};
/** Matches the codes of OpenSSL and Node for certificate errors. */
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO|ALTNAME|ERR_SSL|EPROTO/;

function reachOf(code: string): Reach {
  return REACH_OF[code] ?? (CERTIFICATE.test(code) ? 'untrusted' : 'failed');
}

/** The blob and queue servers of an account. `setting` is its name, its blob host, or the connection string of an emulator. */
export function serversOf(setting: string): Server[] {
  if (setting.includes('AccountName=')) {
    return [...setting.matchAll(/(?:Blob|Queue)Endpoint=([^;]+)/g)].map(([, url = '']) => {
      const { hostname, port, protocol } = new URL(url);
      const isTls = protocol === 'https:';
      return { host: hostname, port: Number(port || (isTls ? 443 : 80)), isTls, isNeeded: true };
    });
  }
  const blobHost = setting.includes('.') ? setting : `${setting}.blob.core.windows.net`;
  return [blobHost, blobHost.replace('.blob.', '.queue.')].map((host) => ({
    host,
    port: 443,
    isTls: true,
    isNeeded: true,
  }));
}
