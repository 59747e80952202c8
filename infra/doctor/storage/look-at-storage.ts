/** Looks at the two accounts from here: whether they can be reached, what the clock says, what one may do, and what is in them. */
import { type AccessProbe, probeAccess } from '../../../shared/azure/access-probes.ts';
import { openBlobStore } from '../../../shared/azure/blob-store.ts';
import { BRISK, type StorageAccount } from '../../../shared/azure/credentials.ts';
import type { Finding } from '../../../shared/contract/finding.ts';
import type { Clock } from '../../../shared/runtime/clock.ts';
import { right, warning, wrong } from '../finding.ts';
import type { Look } from '../look.ts';
import { judgeClock, judgeReach } from './judge-network.ts';
import { judgeRights } from './judge-rights.ts';
import { type Server, reach, serversOf } from './reach.ts';

export interface StorageToLookAt {
  readonly settings: { readonly media: string; readonly system: string | undefined };
  readonly accounts: { readonly media: StorageAccount; readonly system: StorageAccount | null };
  readonly scalerUrl: string | undefined;
  /** Everything goes by a proxy, which a connection of our own would not. */
  readonly isProxied: boolean;
  readonly clock: Clock;
}

/** Where tokens come from, if there is none, and where scale sets are asked for. */
const AZURE: readonly Server[] = ['login.microsoftonline.com', 'management.azure.com'].map((host) => ({
  host,
  port: 443,
  isTls: true,
  isNeeded: false,
}));

/** What the commands at a desk do; whoever has the media account only uploads and fetches. */
const MEDIA_TRIES: readonly AccessProbe[] = [
  { container: 'incoming', right: 'write' },
  { container: 'results', right: 'read' },
];
const SYSTEM_TRIES: readonly AccessProbe[] = [
  { container: 'models', right: 'write' },
  { container: 'control', right: 'write' },
  { container: 'logs', right: 'write' },
  { queue: 'frame-batches-poison', right: 'hold' },
];
const HEALTH_MS = 5_000;

export function storageLooks(storage: StorageToLookAt): Look[] {
  const { settings, clock } = storage;
  const servers = [settings.media, ...(settings.system === undefined ? [] : [settings.system])].flatMap(
    serversOf,
  );
  const isAzure = servers.some(({ isTls }) => isTls);
  return [
    {
      topic: 'network',
      find: async () =>
        isAzure && storage.isProxied
          ? [right('network', 'by the proxy of HTTPS_PROXY: what follows tells')]
          : judgeReach(await Promise.all([...servers, ...(isAzure ? AZURE : [])].map(reach))),
    },
    { topic: 'clock', find: (signal) => findClock(servers[0], clock, signal) },
    { topic: 'rights', find: (signal) => findRights(storage, signal) },
    { topic: 'models', find: () => findModels(storage) },
    ...(storage.scalerUrl === undefined ? [] : [scalerLook(storage.scalerUrl)]),
  ];
}

/** By the `Date` of whatever it answers to somebody it does not know. */
async function findClock(server: Server | undefined, clock: Clock, signal: AbortSignal): Promise<Finding[]> {
  const url = `${server?.isTls === true ? 'https' : 'http'}://${server?.host}:${server?.port}/`;
  try {
    const { headers } = await fetch(url, { method: 'HEAD', signal });
    return [judgeClock({ oursAt: clock.now(), theirAt: new Date(headers.get('date') ?? '') })];
  } catch {
    return []; // What keeps us from it, the network's line tells.
  }
}

async function findRights({ accounts, settings }: StorageToLookAt, signal: AbortSignal): Promise<Finding[]> {
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

async function findModels({ accounts }: StorageToLookAt): Promise<Finding[]> {
  if (accounts.system === null) return [];
  const blobs = await openBlobStore(accounts, BRISK);
  const models: string[] = [];
  try {
    for await (const { name } of blobs.list('models', {}))
      if (name.endsWith('/model.json')) models.push(name.replace('/model.json', '').replace('/', '@'));
  } catch {
    return []; // What the rights and the network are, is told already.
  }
  return models.length > 0
    ? [right('models', models.join(', '))]
    : [
        wrong(
          'models',
          'none is published',
          'terraform -chdir=infra/terraform output -raw next has the two commands.',
        ),
      ];
}

function scalerLook(url: string): Look {
  return {
    topic: 'scaler',
    find: async () => {
      try {
        const { status } = await fetch(new URL('/health/live', url), {
          signal: AbortSignal.timeout(HEALTH_MS),
        });
        if (status === 200) return [right('scaler', `${url} is alive`)];
        return [warning('scaler', `${url} answers ${status}`, 'See its log; jobs wait until it is well.')];
      } catch {
        return [
          warning(
            'scaler',
            `${url} cannot be reached from here`,
            'Jobs do not need that; npm run scale and explain do: scaler_endpoint_public and operator_addresses of infra/terraform.',
          ),
        ];
      }
    },
  };
}
