/** Tries whether a server can be reached: its name, a connection, and with TLS whether it is who it says. Nothing is asked of it. */
import { connect as connectPlain } from 'node:net';
import { connect as connectTls } from 'node:tls';

import { errnoOf } from '../../../shared/runtime/errors.ts';
import type { Reach, ReachReading } from './judge-network.ts';

const CONNECT_MS = 5_000;

export interface Server {
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  /** Whether a job needs it. */
  readonly isNeeded: boolean;
}

export function reach({ host, port, isTls, isNeeded }: Server): Promise<ReachReading> {
  return new Promise((resolve) => {
    const socket = isTls
      ? connectTls({ host, port, servername: host, timeout: CONNECT_MS })
      : connectPlain({ host, port, timeout: CONNECT_MS });
    const end = (how: Reach): void => {
      socket.destroy();
      resolve({ host, port, isNeeded, reach: how });
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
/** As OpenSSL and Node name what is wrong with a certificate. */
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO|ALTNAME|ERR_SSL|EPROTO/;

function reachOf(code: string): Reach {
  return REACH_OF[code] ?? (CERTIFICATE.test(code) ? 'untrusted' : 'failed');
}

/** The servers of an account, by its name, the host of its blobs, or an emulator's connection string. */
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
