/**
 * A storage emulator that is used like Azure, with TLS and the token of an identity. It checks the claims of the token, but
 * neither its signature nor the roles of the identity.
 */
import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { promisify } from 'node:util';

import { BlobServiceClient } from '@azure/storage-blob';

import { spawnTied, stopChild } from '../../shared/runtime/child.ts';
import { testFolder } from './servers.ts';

const run = promisify(execFile);
const AZURITE = createRequire(import.meta.url).resolve('azurite/dist/src/azurite.js');
const LISTENING = /Blob service is successfully listening at (https:\/\/127\.0\.0\.1:\d+)/;
const ACCOUNT = 'devstoreaccount1';
const TENANT = '11111111-2222-4333-8444-555555555555';
export const OBJECT_ID = '99999999-2222-4333-8444-555555555555';

export interface IdentityStorage extends AsyncDisposable {
  readonly service: BlobServiceClient;
}

export async function startIdentityStorage(): Promise<IdentityStorage> {
  const folder = await testFolder();
  const [cert, key] = [path.join(folder, 'cert.pem'), path.join(folder, 'key.pem')];
  const name = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  await run('openssl', [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-keyout',
    key,
    '-out',
    cert,
    ...name,
  ]);
  setDefaultCACertificates([...getCACertificates('default'), await readFile(cert, 'utf8')]);
  const flags = '--inMemoryPersistence --skipApiVersionCheck --disableTelemetry --oauth basic';
  const ports = '--blobPort 0 --queuePort 0 --tablePort 0';
  const args = [AZURITE, ...flags.split(' '), ...ports.split(' '), '--cert', cert, '--key', key];
  const child = spawnTied(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      const [, found] = LISTENING.exec(output) ?? [];
      if (found !== undefined) resolve(found);
    });
    child.once('exit', () => reject(new Error(`the emulator did not start: ${output}`)));
  });
  return {
    service: new BlobServiceClient(`${url}/${ACCOUNT}`, { getToken: () => Promise.resolve(token()) }),
    [Symbol.asyncDispose]: async () => {
      await stopChild(child, { graceMs: 0 });
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A token like those of Microsoft Entra ID for storage, without a signature. */
function token(): { token: string; expiresOnTimestamp: number } {
  const nowSeconds = Math.floor(Date.now() / 1000);
  const claims = {
    aud: 'https://storage.azure.com',
    iss: `https://sts.windows.net/${TENANT}/`,
    iat: nowSeconds - 60,
    nbf: nowSeconds - 60,
    exp: nowSeconds + 3600,
    oid: OBJECT_ID,
    tid: TENANT,
    ver: '1.0',
  };
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return {
    token: [part({ alg: 'RS256', typ: 'JWT' }), part(claims), 'unsigned'].join('.'),
    expiresOnTimestamp: (nowSeconds + 3600) * 1000,
  };
}
