/**
 * `npm run share -- open|list|close`: lets a partner send videos and nothing else. What was asked for goes to standard output;
 * everything else to standard error. Reaches storage only. See `share/options.ts`.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { PATIENT } from '../../shared/azure/credentials.ts';
import { ShareContainers } from '../../shared/azure/share-containers.ts';
import { print, runCommand } from '../../shared/command/run-command.ts';
import { instantText } from '../../shared/command/text.ts';
import { DEFAULT_SETTINGS } from '../../shared/contract/job.ts';
import { type ShareAgreement, shareContainer } from '../../shared/contract/share.ts';
import { systemClock as clock } from '../../shared/runtime/clock.ts';
import { EXIT, PermanentError } from '../../shared/runtime/errors.ts';
import { Agreements } from '../intake/agreements.ts';
import { resolveModel } from '../intake/model-catalogue.ts';
import { commandConfig } from './config.ts';
import { type ShareOptions, parseOptions } from './share/options.ts';
import { type Share, settingsText, shareTable, uploadExample } from './share/text.ts';
import { openReachable, storageAccounts } from './storage-accounts.ts';

/** An address that begins now does not work yet where a clock is late. */
const CLOCKS_DIFFER_MS = 5 * 60_000;

interface Storage {
  readonly blobs: BlobStore;
  readonly containers: ShareContainers;
  readonly agreements: Agreements;
}

const argv = process.argv.slice(2);
process.exitCode = await runCommand(argv, main);
// What a library still keeps open (connections, timers) must not keep the shell waiting.
process.exit();

async function main(): Promise<number> {
  const options = parseOptions(argv);
  if (options === null) return EXIT.ok;
  const accounts = await storageAccounts(commandConfig());
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

type Of<Verb extends ShareOptions['verb']> = Extract<ShareOptions, { readonly verb: Verb }>;

async function open(
  { partner, ttlMs, settings: said, asJson }: Of<'open'>,
  { blobs, containers, agreements }: Storage,
): Promise<void> {
  const agreed = await agreements.read(partner);
  // In the place of one that cannot be read a new one comes.
  const before = agreed === 'unreadable' ? undefined : agreed;
  const settings = said ?? before?.settings ?? DEFAULT_SETTINGS;
  await resolveModel(blobs, settings);
  const container = shareContainer(partner);
  await containers.create(container);
  const startsAt = new Date(clock.now().getTime() - CLOCKS_DIFFER_MS);
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
  say(
    `With it ${partner} may send files until ${instantText(agreement.addressExpiresAt)}, and do nothing else.`,
  );
  say(`Each becomes a job: ${settingsText(settings)}. Hand it over as you would a password. To send one:`);
  say(`  ${uploadExample(address)}`);
  if (address.startsWith('https:'))
    say('The public address they send from must be among uploader_addresses of infra/terraform.');
}

async function list({ asJson }: Of<'list'>, { agreements }: Storage): Promise<void> {
  const shares: Share[] = [];
  for (const partner of await agreements.partners()) {
    const agreed = (await agreements.read(partner)) ?? null;
    const agreement = agreed === 'unreadable' ? null : agreed;
    shares.push({ partner, agreement, waiting: await agreements.countWaiting(partner) });
  }
  if (asJson) print(JSON.stringify({ count: shares.length, shares }));
  else if (shares.length === 0) say('Nothing is shared with anybody.');
  else print(shareTable(shares, clock.now()));
}

/** First the agreement, so that nothing begins any more; then the container, and with it every address. */
async function close(
  { partner, discards, asJson }: Of<'close'>,
  { containers, agreements }: Storage,
): Promise<void> {
  const waiting = await agreements.countWaiting(partner);
  const isKnown = (await agreements.read(partner)) !== undefined;
  if (waiting === null && !isKnown) {
    throw new PermanentError('SHARE_UNKNOWN', `Nothing is shared with ${partner}.`, {
      hint: 'See what there is: npm run share -- list',
    });
  }
  if (waiting !== null && waiting > 0 && !discards) {
    throw new PermanentError(
      'SHARE_NOT_EMPTY',
      `What ${partner} has sent is still waiting there: ${waiting} ${waiting === 1 ? 'file' : 'files'}.`,
      {
        hint: 'They become jobs within a minute, if a producer is up: close it then. Or throw them away: --discard.',
      },
    );
  }
  await agreements.remove(partner);
  await containers.remove(shareContainer(partner));
  if (asJson) print(JSON.stringify({ closed: partner, discarded: waiting ?? 0 }));
  else say(`Closed: ${partner} can send nothing any more. What became a job goes on.`);
}

function say(sentence: string): void {
  process.stderr.write(`${sentence}\n`);
}
