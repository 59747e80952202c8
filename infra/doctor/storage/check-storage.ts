/** Checks the two storage accounts from this machine: network, clock, rights and published models; also whether the scaler is reachable. */
import { type AccessProbe, probeAccess } from '../../../shared/azure/access-probes.ts';
import { openBlobStore } from '../../../shared/azure/blob-store.ts';
import { BRISK, type StorageAccount } from '../../../shared/azure/credentials.ts';
import type { Finding } from '../../../shared/contract/finding.ts';
import type { Clock } from '../../../shared/runtime/clock.ts';
import type { Check } from '../check.ts';
import { errorFinding, okFinding, warningFinding } from '../finding.ts';
import { judgeClock, judgeReach } from './judge-network.ts';
import { judgeRights } from './judge-rights.ts';
import { type Server, probeServer, serversOf } from './probe-server.ts';

export interface CheckedStorage {
  readonly settings: { readonly media: string; readonly system: string | undefined };
  readonly accounts: { readonly media: StorageAccount; readonly system: StorageAccount | null };
  readonly scalerUrl: string | undefined;
  /** Whether the Azure SDKs use a proxy. Direct connections prove nothing then. */
  readonly isProxied: boolean;
  readonly clock: Clock;
}

/** For tokens, and for the scale sets. A job with cached tokens needs neither. */
const AZURE: readonly Server[] = ['login.microsoftonline.com', 'management.azure.com'].map((host) => ({
  host,
  port: 443,
  isTls: true,
  isNeeded: false,
}));

/** What `npm run enqueue` and `npm run fetch` do. */
const MEDIA_TRIES: readonly AccessProbe[] = [
  { container: 'incoming', right: 'write' },
  { container: 'results', right: 'read' },
];
/** What the operator commands do. Skipped if the system account is not configured. */
const SYSTEM_TRIES: readonly AccessProbe[] = [
  { container: 'models', right: 'write' },
  { container: 'control', right: 'write' },
  { container: 'logs', right: 'write' },
  { container: 'workers', right: 'read' },
  { queue: 'frame-batches-poison', right: 'hold' },
];
const HEALTH_MS = 5_000;

export function storageChecks(storage: CheckedStorage): Check[] {
  const { settings, clock } = storage;
  const servers = [settings.media, ...(settings.system === undefined ? [] : [settings.system])].flatMap(
    serversOf,
  );
  const isAzure = servers.some(({ isTls }) => isTls);
  return [
    {
      topic: 'network',
      run: async () =>
        isAzure && storage.isProxied
          ? [okFinding('network', 'not checked: connections use the proxy in HTTPS_PROXY')]
          : judgeReach(await Promise.all([...servers, ...(isAzure ? AZURE : [])].map(probeServer))),
    },
    { topic: 'clock', run: (signal) => checkClock(servers[0], clock, signal) },
    { topic: 'rights', run: (signal) => checkRights(storage, signal) },
    { topic: 'models', run: () => checkModels(storage) },
    ...(storage.scalerUrl === undefined ? [] : [scalerCheck(storage.scalerUrl)]),
  ];
}

/** Uses the `Date` header of the response to an unauthenticated request. */
async function checkClock(server: Server | undefined, clock: Clock, signal: AbortSignal): Promise<Finding[]> {
  const url = `${server?.isTls === true ? 'https' : 'http'}://${server?.host}:${server?.port}/`;
  try {
    const { headers } = await fetch(url, { method: 'HEAD', signal });
    return [judgeClock(clock.now(), new Date(headers.get('date') ?? ''))];
  } catch {
    return []; // The network check reports the reason.
  }
}

async function checkRights({ accounts, settings }: CheckedStorage, signal: AbortSignal): Promise<Finding[]> {
  const inAccount = (account: 'media' | 'system', tries: readonly AccessProbe[]) => {
    const at = accounts[account];
    if (at === null) return [];
    const signedBy = signerOf(settings[account]);
    return tries.map(async (tried) => ({
      account,
      signedBy,
      tried,
      result: await probeAccess(at, tried, signal),
    }));
  };
  return judgeRights(
    await Promise.all([...inAccount('media', MEDIA_TRIES), ...inAccount('system', SYSTEM_TRIES)]),
  );
}

function signerOf(setting = ''): 'key' | 'identity' {
  return setting.includes('AccountKey=') ? 'key' : 'identity';
}

async function checkModels({ accounts }: CheckedStorage): Promise<Finding[]> {
  if (accounts.system === null) return [];
  const blobs = await openBlobStore(accounts, BRISK);
  const models: string[] = [];
  try {
    for await (const { name } of blobs.list('models', {}))
      if (name.endsWith('/model.json')) models.push(name.replace('/model.json', '').replace('/', '@'));
  } catch {
    return []; // The rights and network checks report the reason.
  }
  return models.length > 0
    ? [okFinding('models', models.join(', '))]
    : [
        errorFinding(
          'models',
          'no model is published',
          'Publish one. To print the commands: terraform -chdir=infra/terraform output -raw next',
        ),
      ];
}

function scalerCheck(url: string): Check {
  return {
    topic: 'scaler',
    run: async () => {
      try {
        const { status } = await fetch(new URL('/health/live', url), {
          signal: AbortSignal.timeout(HEALTH_MS),
        });
        if (status === 200) return [okFinding('scaler', `${url} is running`)];
        return [
          warningFinding(
            'scaler',
            `${url} returned status ${status}`,
            'Check the log of the scaler. Jobs wait until it is healthy.',
          ),
        ];
      } catch {
        return [
          warningFinding(
            'scaler',
            `cannot reach ${url}`,
            'Jobs run without it, but npm run scale and npm run explain need it. Set scaler_endpoint_public and operator_addresses in infra/terraform.',
          ),
        ];
      }
    },
  };
}
