/**
 * `npm run poison -- list|show|redrive|drop`: what could not be worked, to look at, to try again, or to throw away. What was asked
 * for goes to standard output; everything else to standard error. Reaches storage only. See `poison/options.ts`.
 */
import pLimit from 'p-limit';

import { onInterrupt, print, runCommand } from '../../shared/command/run-command.ts';
import { systemClock as clock } from '../../shared/runtime/clock.ts';
import { EXIT, PermanentError } from '../../shared/runtime/errors.ts';
import { watchParent } from '../../shared/runtime/watch-parent.ts';
import { commandConfig } from './config.ts';
import { type Browsing, LEASE_SECONDS, browse } from './poison/browse.ts';
import { type PoisonEntry, matches, toEntries } from './poison/entry.ts';
import { type PoisonOptions, parseOptions } from './poison/options.ts';
import { type PoisonStorage, reachPoison } from './poison/reach-storage.ts';
import { Redriver, removeEntry } from './poison/redrive.ts';
import { entryJson, showJson, showText } from './poison/show.ts';
import { entryTable } from './poison/table.ts';

const ENTRIES_AT_ONCE = 16;

const argv = process.argv.slice(2);
/** Interrupted, what is held is given back; the second time it comes back by itself. */
const { signal: interruption, interrupt } = onInterrupt();
process.exitCode = await runCommand(argv, main, interruption);
// What a library still keeps open (connections, timers) must not keep the shell waiting.
process.exit();

async function main(): Promise<number> {
  const options = parseOptions(argv);
  if (options === null) return EXIT.ok;
  const config = commandConfig();
  watchParent({ environment: config.environment, onGone: interrupt });
  const storage = await reachPoison(config);
  await using browsing = await browse(storage.poison, { clock, signal: interruption });
  return await obey(options, storage, browsing);
}

/** Returns the exit status. */
async function obey(
  { verb, filter, asJson }: PoisonOptions,
  storage: PoisonStorage,
  browsing: Browsing,
): Promise<number> {
  const entries = toEntries(browsing.messages).filter((entry) => matches(entry, filter));
  if (browsing.hiddenApprox > 0) {
    say(
      `About ${browsing.hiddenApprox} more are held by somebody who looks at them, for ${LEASE_SECONDS} s at most.`,
    );
  }
  requireAll(filter.ids, entries);
  switch (verb) {
    case 'list':
      list(entries, asJson);
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
      return redrive(entries, { storage, browsing, asJson });
    case 'drop':
      await drop(entries, { storage, browsing, asJson });
      return EXIT.ok;
  }
}

/** Of names mistyped or dealt with already nothing is guessed, and nothing is done with the others. */
function requireAll(ids: readonly string[], entries: readonly PoisonEntry[]): void {
  const missing = ids.filter((id) => !entries.some((entry) => entry.id === id));
  if (missing.length === 0) return;
  throw new PermanentError('POISON_NOT_FOUND', `On the poison queue there is no ${missing.join(', ')}.`, {
    hint: 'It may have been dealt with already. See what there is: npm run poison -- list',
  });
}

function list(entries: readonly PoisonEntry[], asJson: boolean): void {
  if (asJson) print(JSON.stringify({ count: entries.length, entries: entries.map(entryJson) }));
  else if (entries.length === 0) say('Nothing on the poison queue.');
  else print(entryTable(entries));
}

interface Doing {
  readonly storage: PoisonStorage;
  readonly browsing: Browsing;
  readonly asJson: boolean;
}

async function redrive(
  entries: readonly PoisonEntry[],
  { storage, browsing, asJson }: Doing,
): Promise<number> {
  const redriver = new Redriver(storage, browsing, () => clock.now());
  const outcomes = await forEach(entries, (entry) => redriver.redrive(entry));
  const redriven = outcomes.filter(({ kept }) => kept === null).map(({ id }) => id);
  const kept = outcomes.flatMap(({ id, kept: why }) => (why === null ? [] : [{ id, why }]));
  if (asJson) print(JSON.stringify({ redriven, kept }));
  else {
    for (const id of redriven) print(id);
    for (const { id, why } of kept) say(`${id} stays: ${why}.`);
    say(
      redriven.length === 0
        ? 'Nothing to try again.'
        : `To be tried again, each when its job has ended: ${redriven.length}.`,
    );
  }
  return kept.length === 0 ? EXIT.ok : EXIT.failed;
}

async function drop(entries: readonly PoisonEntry[], { storage, browsing, asJson }: Doing): Promise<void> {
  const copies = await forEach(entries, (entry) => removeEntry(storage.blobs, browsing, entry));
  const dropped = entries.map(({ id }) => id);
  const messages = copies.reduce((sum, count) => sum + count, 0);
  if (asJson) print(JSON.stringify({ count: dropped.length, messages, dropped }));
  else {
    for (const id of dropped) print(id);
    say(dropped.length === 0 ? 'Nothing to drop.' : `Dropped: ${dropped.length}.`);
  }
}

/** Some at a time. Interrupted, it begins no more of them; whatever fails, those that were begun are ended first. */
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

function say(sentence: string): void {
  process.stderr.write(`${sentence}\n`);
}
