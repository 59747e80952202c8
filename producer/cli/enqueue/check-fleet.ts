/**
 * Before a fleet's first job: whether everything is there that one needs, as `npm run doctor` sees it. What was found right is
 * remembered in the local folder, so that the next job does not pay for it. A doctor that breaks keeps nobody from working.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';

import { z } from 'zod';

import { findReadyStack } from '../../../shared/command/local-stack.ts';
import { type Finding, doctorReport } from '../../../shared/contract/finding.ts';
import { parseJson } from '../../../shared/contract/parse-json.ts';
import { spawnNode } from '../../../shared/runtime/child.ts';
import { PermanentError } from '../../../shared/runtime/errors.ts';
import { sha256Of } from '../../../shared/runtime/sha256.ts';
import type { EnqueueConfig } from './config.ts';

/** It bounds itself: this is for one that does not. */
const DOCTOR_MS = 90_000;
const CHECKED_FILE = 'checked.json';

/** By fleet, when it was found right. */
const checked = z.record(z.string(), z.iso.datetime());

export interface Checking {
  readonly now: Date;
  readonly say: (sentence: string) => void;
  readonly signal: AbortSignal;
}

/** Throws NOT_READY where something is wrong. */
export async function checkFleet(config: EnqueueConfig, { now, say, signal }: Checking): Promise<void> {
  const { mediaStorage, localFolder } = config;
  const fleet = fleetKey(config);
  const before = await readChecked(localFolder);
  if (before[fleet] !== undefined) return;
  // One that is up already has what it needs.
  if (mediaStorage === undefined && (await findReadyStack(localFolder, signal)) !== undefined) return;

  const findings = await askDoctor(config, signal);
  if (findings === undefined) {
    say('Note: could not check whether everything is ready (npm run doctor). Continuing.');
    return;
  }
  for (const { topic, verdict, says, todo } of findings)
    if (verdict === 'warning') say(`Note: ${topic}: ${says}. ${todo ?? ''}`);
  const wrong = findings.filter(({ verdict }) => verdict === 'wrong');
  if (wrong.length > 0) throw notReady(wrong);
  await remember(localFolder, { ...before, [fleet]: now.toISOString() });
}

/** Of all settings: with another one it is another fleet. They may hold keys, and are not written down. */
function fleetKey({ environment }: EnqueueConfig): string {
  const settings = Object.entries(environment)
    .filter(([name, value]) => name.startsWith('FRAMEFLEET_') && value !== undefined)
    .map((setting) => setting.join('='));
  return sha256Of(settings.toSorted().join('\n')).slice(0, 16);
}

/** Where that cannot be, it is looked again the next time. */
async function remember(localFolder: string, all: z.infer<typeof checked>): Promise<void> {
  try {
    await mkdir(localFolder, { recursive: true });
    await writeFile(path.join(localFolder, CHECKED_FILE), JSON.stringify(all, undefined, 2));
  } catch {
    // A folder that nobody may write to is no reason not to work.
  }
}

async function readChecked(localFolder: string): Promise<z.infer<typeof checked>> {
  const bytes = await readFile(path.join(localFolder, CHECKED_FILE), 'utf8').catch(() => '');
  return checked.safeParse(parseJson(bytes)).data ?? {};
}

/** Undefined where it did not say anything that could be understood. */
async function askDoctor(
  { doctorProgram, environment }: EnqueueConfig,
  signal: AbortSignal,
): Promise<readonly Finding[] | undefined> {
  signal.throwIfAborted();
  const child = spawnNode(doctorProgram, ['--json'], {
    env: { ...environment },
    stdio: ['ignore', 'pipe', 'ignore'],
    signal: AbortSignal.any([signal, AbortSignal.timeout(DOCTOR_MS)]),
  });
  child.on('error', () => undefined); // Shows as nothing said.
  const said = child.stdout === null ? '' : await text(child.stdout).catch(() => '');
  signal.throwIfAborted();
  return doctorReport.safeParse(parseJson(said)).data?.findings;
}

function notReady(wrong: readonly Finding[]): PermanentError {
  const lines = wrong.map(({ topic, says, todo }) => `  ${topic}: ${says}\n    ${todo ?? ''}`);
  return new PermanentError('NOT_READY', `The fleet is not ready for a job:\n${lines.join('\n')}`, {
    hint: 'See all of it: npm run doctor. To go on all the same: -- --no-doctor',
  });
}
