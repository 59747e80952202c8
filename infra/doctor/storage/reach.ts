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
}

export function reach({ host, port, isTls }: Server): Promise<ReachReading> {
  return new Promise((resolve) => {
    const socket = isTls
      ? connectTls({ host, port, servername: host, timeout: CONNECT_MS })
      : connectPlain({ host, port, timeout: CONNECT_MS });
    const end = (how: Reach): void => {
      socket.destroy();
      resolve({ host, port, reach: how });
    };
    socket.once(isTls ? 'secureConnect' : 'connect', () => end('reached'));
    socket.once('timeout', () => end('silent'));
    socket.on('error', (error) => end(reachOf(errnoOf(error) ?? '')));
  });
}

function reachOf(code: string): Reach {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'unresolvable';
  if (code === 'ECONNREFUSED') return 'refused';
  if (code === 'ECONNRESET' || code === 'ETIMEDOUT' || code === 'EHOSTUNREACH' || code === 'ENETUNREACH')
    return 'silent';
  return 'untrusted';
}

/** The servers of an account, by its name, the host of its blobs, or an emulator's connection string. */
export function serversOf(setting: string): Server[] {
  if (setting.includes('AccountName=')) {
    return [...setting.matchAll(/(?:Blob|Queue)Endpoint=([^;]+)/g)].map(([, url = '']) => {
      const { hostname, port, protocol } = new URL(url);
      const isTls = protocol === 'https:';
      return { host: hostname, port: Number(port || (isTls ? 443 : 80)), isTls };
    });
  }
  const blobHost = setting.includes('.') ? setting : `${setting}.blob.core.windows.net`;
  return [blobHost, blobHost.replace('.blob.', '.queue.')].map((host) => ({ host, port: 443, isTls: true }));
}
