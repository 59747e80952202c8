/**
 * `npm run poison -- list|show|redrive|drop`: shows, redrives or drops the entries of the poison queue. Prints the answer on standard
 * output and everything else on standard error. It needs only storage. See `poison/options.ts`.
 */
import pLimit from 'p-limit';

import { storageCommandConfig } from '../../shared/command/config.ts';
import { onInterrupt, print, runCommand, say } from '../../shared/command/run-command.ts';
import { systemClock as clock } from '../../shared/runtime/clock.ts';
import { EXIT, PermanentError } from '../../shared/runtime/errors.ts';
import { watchParent } from '../../shared/runtime/watch-parent.ts';
import { type PoisonEntry, matches, toEntries } from './poison/entry.ts';
import { POISON_LEASE_SECONDS, type LeasedEntries, leaseEntries } from './poison/lease-entries.ts';
import { type PoisonOptions, parsePoisonOptions } from './poison/options.ts';
import { type PoisonStorage, reachPoison } from './poison/reach-storage.ts';
import { Redriver, removeEntry } from './poison/redrive.ts';
import { entryJson, showJson, showText } from './poison/show.ts';
import { entryTable } from './poison/table.ts';

const ENTRIES_AT_ONCE = 16;

const argv = process.argv.slice(2);
/** The first Ctrl-C releases the leases. After a second one, they expire. */
const { signal: interruption, interrupt } = onInterrupt();
await runCommand(argv, main, interruption);

async function main(): Promise<number> {
  const options = parsePoisonOptions(argv);
  if (options === null) return EXIT.ok;
  const config = storageCommandConfig();
  watchParent(config.environment, interrupt);
  const storage = await reachPoison(config);
  await using leased = await leaseEntries(storage.poison, clock, interruption);
  return await runAction(options, storage, leased);
}

/** Returns the exit status. */
async function runAction(
  options: PoisonOptions,
  storage: PoisonStorage,
  leased: LeasedEntries,
): Promise<number> {
  const { verb, filter, asJson } = options;
  const entries = toEntries(leased.messages).filter((entry) => matches(entry, filter));
  if (leased.hiddenApprox > 0) {
    say(
      `About ${leased.hiddenApprox} more entries are leased by another command. They are visible again within ${POISON_LEASE_SECONDS} s.`,
    );
  }
  requireAll(filter.ids, entries);
  switch (verb) {
    case 'list':
      list(entries, { asJson, isFiltered: entries.length < leased.messages.length });
      return EXIT.ok;
    case 'show':
      for (const entry of entries) {
        print(
          asJson
            ? JSON.stringify(await showJson(storage.blobs, entry))
            : await showText(storage.blobs, entry),
        );
      }
      return EXIT.ok;
    case 'redrive':
      return redrive(entries, { storage, leased, asJson, jobId: filter.jobId });
    case 'drop':
      await drop(entries, { storage, leased, asJson });
      return EXIT.ok;
  }
}

/** If one id is not on the queue, the command changes none of the others. Throws POISON_NOT_FOUND. */
function requireAll(ids: readonly string[], entries: readonly PoisonEntry[]): void {
  const missing = ids.filter((id) => !entries.some((entry) => entry.id === id));
  if (missing.length === 0) return;
  throw new PermanentError('POISON_NOT_FOUND', `The poison queue has no entry ${missing.join(', ')}.`, {
    hint: 'It may have been redriven or dropped already. List all entries with: npm run poison -- list',
  });
}

function list(
  entries: readonly PoisonEntry[],
  { asJson, isFiltered }: { readonly asJson: boolean; readonly isFiltered: boolean },
): void {
  if (asJson) print(JSON.stringify({ count: entries.length, entries: entries.map(entryJson) }));
  else if (entries.length === 0) say(isFiltered ? 'No entry matches.' : 'The poison queue is empty.');
  else print(entryTable(entries));
}

interface ActionContext {
  readonly storage: PoisonStorage;
  readonly leased: LeasedEntries;
  readonly asJson: boolean;
}

async function redrive(
  entries: readonly PoisonEntry[],
  { storage, leased, asJson, jobId }: ActionContext & { readonly jobId: string | undefined },
): Promise<number> {
  const redriver = new Redriver(storage, leased, () => clock.now());
  const isRetried = entries.length === 0 && jobId !== undefined && (await redriver.retryJob(jobId));
  const outcomes = await forEach(entries, (entry) => redriver.redrive(entry));
  const redriven = outcomes.filter(({ kept }) => kept === null).map(({ id }) => id);
  const kept = outcomes.flatMap(({ id, kept: why }) => (why === null ? [] : [{ id, why }]));
  if (asJson) print(JSON.stringify({ redriven, kept }));
  else {
    for (const id of redriven) print(id);
    for (const { id, why } of kept) say(`${id} stays on the queue: ${why}.`);
    say(
      entries.length === 0
        ? isRetried
          ? 'No entries to redrive. If the job failed, it is run again with what is stored.'
          : leased.messages.length > 0
            ? 'No entry matches.'
            : 'No entries to redrive.'
        : `Redriven: ${redriven.length}. Frames of a running job are retried when the job has ended.`,
    );
  }
  return kept.length === 0 ? EXIT.ok : EXIT.failed;
}

async function drop(
  entries: readonly PoisonEntry[],
  { storage, leased, asJson }: ActionContext,
): Promise<void> {
  const copies = await forEach(entries, (entry) => removeEntry(storage.blobs, leased, entry));
  const dropped = entries.map(({ id }) => id);
  const messages = copies.reduce((sum, count) => sum + count, 0);
  if (asJson) print(JSON.stringify({ count: dropped.length, messages, dropped }));
  else {
    for (const id of dropped) print(id);
    say(dropped.length === 0 ? 'No entries to drop.' : `Dropped: ${dropped.length}.`);
  }
}

/** Runs a few at a time. An interruption starts no more of them; those that have started finish first, even if one fails. */
async function forEach<T>(
  entries: readonly PoisonEntry[],
  act: (entry: PoisonEntry) => Promise<T>,
): Promise<T[]> {
  const limit = pLimit(ENTRIES_AT_ONCE);
  const acting = entries.map((entry) =>
    limit(() => {
      interruption.throwIfAborted();
      return act(entry);
    }),
  );
  await Promise.allSettled(acting);
  return Promise.all(acting);
}
