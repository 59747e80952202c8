/**
 * Runs the doctor before the first job of a fleet. A fleet without errors is recorded in the local folder, so that later jobs skip the
 * check. If the doctor itself fails, the job continues.
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

/** The doctor has time-outs of its own. This one ends a doctor that hangs. */
const DOCTOR_MS = 90_000;
const CHECKED_FILE = 'checked.json';

/** When each fleet passed the check, by fleet key. */
const checked = z.record(z.string(), z.iso.datetime());

export interface FleetCheckOptions {
  readonly now: Date;
  readonly say: (sentence: string) => void;
  readonly signal: AbortSignal;
}

/** Throws NOT_READY if the doctor reports an error. */
export async function checkFleet(
  config: EnqueueConfig,
  { now, say, signal }: FleetCheckOptions,
): Promise<void> {
  const { mediaStorage, localFolder } = config;
  const fleet = fleetKey(config);
  const before = await readChecked(localFolder);
  if (before[fleet] !== undefined) return;
  // A running local fleet has all that it needs.
  if (mediaStorage === undefined && (await findReadyStack(localFolder, signal)) !== undefined) return;

  const findings = await runDoctor(config, signal);
  if (findings === undefined) {
    say('Note: Could not check whether the fleet is ready (npm run doctor). Continuing without the check.');
    return;
  }
  for (const { topic, verdict, message, hint } of findings)
    if (verdict === 'warning') say(`Note: ${topic}: ${message}. ${hint ?? ''}`);
  const wrong = findings.filter(({ verdict }) => verdict === 'error');
  if (wrong.length > 0) throw notReady(wrong);
  await remember(localFolder, { ...before, [fleet]: now.toISOString() });
}

/** A hash of all settings: other settings mean another fleet. The settings can contain keys, so they are not stored. */
function fleetKey({ environment }: EnqueueConfig): string {
  const settings = Object.entries(environment)
    .filter(([name, value]) => name.startsWith('FRAMEFLEET_') && value !== undefined)
    .map((setting) => setting.join('='));
  return sha256Of(settings.toSorted().join('\n')).slice(0, 16);
}

/** If the folder cannot be written to, the next job checks again. */
async function remember(localFolder: string, all: z.infer<typeof checked>): Promise<void> {
  try {
    await mkdir(localFolder, { recursive: true });
    await writeFile(path.join(localFolder, CHECKED_FILE), JSON.stringify(all, undefined, 2));
  } catch {
    // The job can run without the record.
  }
}

async function readChecked(localFolder: string): Promise<z.infer<typeof checked>> {
  const bytes = await readFile(path.join(localFolder, CHECKED_FILE), 'utf8').catch(() => '');
  return checked.safeParse(parseJson(bytes)).data ?? {};
}

/** Undefined if the doctor printed no valid report. */
async function runDoctor(
  { doctorProgram, environment }: EnqueueConfig,
  signal: AbortSignal,
): Promise<readonly Finding[] | undefined> {
  signal.throwIfAborted();
  const child = spawnNode(doctorProgram, ['--json'], {
    env: { ...environment },
    stdio: ['ignore', 'pipe', 'ignore'],
    signal: AbortSignal.any([signal, AbortSignal.timeout(DOCTOR_MS)]),
  });
  child.on('error', () => undefined); // Then there is no output.
  const output = child.stdout === null ? '' : await text(child.stdout).catch(() => '');
  signal.throwIfAborted();
  return doctorReport.safeParse(parseJson(output)).data?.findings;
}

function notReady(wrong: readonly Finding[]): PermanentError {
  const lines = wrong.map(({ topic, message, hint }) => `  ${topic}: ${message}\n    ${hint ?? ''}`);
  return new PermanentError('NOT_READY', `The fleet is not ready for a job:\n${lines.join('\n')}`, {
    hint: 'For the full report, run npm run doctor. To skip the check, add --no-doctor.',
  });
}
