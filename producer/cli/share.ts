/**
 * `npm run share -- open|list|close`: gives partners a write-only address to upload videos to. Prints the answer on standard output
 * and everything else on standard error. It needs only storage. See `share/options.ts`.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { PATIENT } from '../../shared/azure/credentials.ts';
import { ShareContainers } from '../../shared/azure/share-containers.ts';
import { storageCommandConfig } from '../../shared/command/config.ts';
import { print, runCommand, say } from '../../shared/command/run-command.ts';
import { openReachable, storageAccounts } from '../../shared/command/storage-accounts.ts';
import { instantText } from '../../shared/command/text.ts';
import { DEFAULT_SETTINGS } from '../../shared/contract/job.ts';
import { type ShareAgreement, shareContainer } from '../../shared/contract/share.ts';
import { systemClock as clock } from '../../shared/runtime/clock.ts';
import { EXIT, PermanentError } from '../../shared/runtime/errors.ts';
import { Agreements } from '../intake/agreements.ts';
import { resolveModel } from '../jobs/model-catalogue.ts';
import { type ShareOptions, parseShareOptions } from './share/options.ts';
import { type Share, settingsText, shareTable, uploadExample } from './share/text.ts';

/** How far clocks may differ: an address that starts now would not work yet on a server whose clock is late. */
const CLOCK_SKEW_MS = 5 * 60_000;

interface ShareStorage {
  readonly blobs: BlobStore;
  readonly containers: ShareContainers;
  readonly agreements: Agreements;
}

const argv = process.argv.slice(2);
await runCommand(argv, main);

async function main(): Promise<number> {
  const options = parseShareOptions(argv);
  if (options === null) return EXIT.ok;
  const accounts = await storageAccounts(storageCommandConfig());
  const blobs = await openReachable(accounts);
  const containers = new ShareContainers(await accounts.media.blobs(PATIENT));
  const storage = { blobs, containers, agreements: new Agreements(blobs) };
  switch (options.verb) {
    case 'open':
      await open(options, storage);
      break;
    case 'list':
      await list(options, storage);
      break;
    case 'close':
      await close(options, storage);
      break;
  }
  return EXIT.ok;
}

type OptionsFor<Verb extends ShareOptions['verb']> = Extract<ShareOptions, { readonly verb: Verb }>;

async function open(
  options: OptionsFor<'open'>,
  { blobs, containers, agreements }: ShareStorage,
): Promise<void> {
  const { partner, ttlMs, asJson } = options;
  const found = await agreements.read(partner);
  // An agreement that cannot be read is replaced.
  const before = found === 'unreadable' ? undefined : found;
  const settings = options.settings ?? before?.settings ?? DEFAULT_SETTINGS;
  await resolveModel(blobs, settings);
  const container = shareContainer(partner);
  await containers.create(container);
  const startsAt = new Date(clock.now().getTime() - CLOCK_SKEW_MS);
  const expiresAt = new Date(startsAt.getTime() + ttlMs);
  const address = await containers.writeOnlyAddress(container, { startsAt, expiresAt });
  const agreement: ShareAgreement = {
    version: 1,
    partner,
    settings,
    createdAt: before?.createdAt ?? clock.now().toISOString(),
    addressExpiresAt: expiresAt.toISOString(),
  };
  await agreements.write(agreement);
  if (asJson) {
    print(JSON.stringify({ ...agreement, container, address }));
    return;
  }
  print(address);
  say(`${partner} can upload files to this address until ${instantText(agreement.addressExpiresAt)}.`);
  say(`Each video becomes a job: ${settingsText(settings)}. Keep the address secret. To upload a file:`);
  say(`  ${uploadExample(address)}`);
  if (address.startsWith('https:'))
    say('Add the public IP address of the partner to uploader_addresses in infra/terraform.');
}

async function list({ asJson }: OptionsFor<'list'>, { agreements }: ShareStorage): Promise<void> {
  const shares: Share[] = [];
  for (const partner of await agreements.partners()) {
    const found = (await agreements.read(partner)) ?? null;
    const agreement = found === 'unreadable' ? null : found;
    shares.push({ partner, agreement, waiting: await agreements.countWaiting(partner) });
  }
  if (asJson) print(JSON.stringify({ count: shares.length, shares }));
  else if (shares.length === 0) say('No shares.');
  else print(shareTable(shares, clock.now()));
}

/** Removes the agreement first, so that no new job starts, then the container, which invalidates every address. */
async function close(
  { partner, discards, asJson }: OptionsFor<'close'>,
  { containers, agreements }: ShareStorage,
): Promise<void> {
  const waiting = await agreements.countWaiting(partner);
  const isKnown = (await agreements.read(partner)) !== undefined;
  if (waiting === null && !isKnown) {
    throw new PermanentError('SHARE_UNKNOWN', `No share exists for ${partner}.`, {
      hint: 'List all shares with: npm run share -- list',
    });
  }
  if (waiting !== null && waiting > 0 && !discards) {
    throw new PermanentError(
      'SHARE_NOT_EMPTY',
      `Cannot close the share of ${partner}: ${waiting} ${waiting === 1 ? 'file is' : 'files are'} still waiting in it.`,
      {
        hint: 'If a producer runs, they become jobs within a minute: try again then. To delete them, add --discard.',
      },
    );
  }
  await agreements.remove(partner);
  await containers.remove(shareContainer(partner));
  if (asJson) print(JSON.stringify({ closed: partner, discarded: waiting ?? 0 }));
  else say(`Closed the share of ${partner}. Jobs from its files continue.`);
}
