/**
 * Runs `learn.py`, which trains the new row with PyTorch, as a child process. It ends with this process, and when the signal aborts. It gets
 * an environment without credentials. It reports in lines of JSON on its standard output.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { z } from 'zod';

import { parseJson } from '../../shared/contract/parse-json.ts';
import { StderrTail } from '../../shared/media/stderr-tail.ts';
import { isMissingProgram, spawnTied, stopChild } from '../../shared/runtime/child.ts';
import { PermanentError, errnoOf } from '../../shared/runtime/errors.ts';
import type { StyleRows } from './add-style.ts';
import type { Painted } from './paint.ts';

const PROGRAM = fileURLToPath(new URL('../models/painter/training/learn.py', import.meta.url));
const INSTALL = 'sudo apt-get install --no-install-recommends python3-torch python3-onnx python3-pil';
/** For a step of the training to end. */
const STOP_GRACE_MS = 5_000;
const LINES_IN_MESSAGE = 3;
/**
 * PyTorch would map and clear each tensor anew, and its threads would spin while they wait for each other, which halves the speed on a machine
 * that does something else, too.
 */
const ENVIRONMENT = {
  OMP_WAIT_POLICY: 'passive',
  MALLOC_MMAP_THRESHOLD_: '33554432',
  MALLOC_TRIM_THRESHOLD_: '4000000000',
  MALLOC_TOP_PAD_: '268435456',
  PYTHONDONTWRITEBYTECODE: '1',
};

const report = z.union([
  z.object({ share: z.number(), step: z.number(), secondsLeft: z.number() }),
  z.object({ missing: z.array(z.string()) }),
  z.object({ refused: z.string() }),
]);
const rowsFile = z.record(z.string(), z.array(z.number()));

export interface TrainingProgress {
  /** From 0 to 1. */
  readonly share: number;
  readonly step: number;
  readonly secondsLeft: number;
}

export interface TrainingRequest {
  readonly python: Python;
  readonly modelPath: string;
  readonly stylePath: string;
  readonly scenesFolder: string;
  /** A picture, and what the model makes of it in its first style: the training starts only if PyTorch paints the same. */
  readonly check: Painted;
  /** An empty folder for intermediate files. */
  readonly folder: string;
  readonly length: { readonly minutes: number } | { readonly steps: number };
  readonly onProgress: (progress: TrainingProgress) => void;
  readonly signal: AbortSignal;
}

/** A Python with PyTorch. */
export interface Python {
  readonly program: string;
  /** Where programs are looked for. */
  readonly searchPath: string | undefined;
}

/** Throws PROGRAM_MISSING. */
export async function checkPython(python: Python, signal: AbortSignal): Promise<void> {
  await runPython(python, [PROGRAM, '--check-packages'], () => undefined, signal);
}

/** Throws PROGRAM_MISSING, MODEL_INVALID, TRAINING_FAILED or the signal's reason. */
export async function trainStyle(request: TrainingRequest): Promise<StyleRows> {
  const { python, modelPath, stylePath, scenesFolder, check, folder, length } = request;
  const rowsPath = path.join(folder, 'rows.json');
  const args = [PROGRAM, modelPath, stylePath, scenesFolder, rowsPath];
  const { pixelsPath, paintedPath, size } = check;
  args.push('--check', pixelsPath, paintedPath, String(size.width), String(size.height));
  args.push(
    ...('steps' in length ? ['--steps', String(length.steps)] : ['--minutes', String(length.minutes)]),
  );
  await runPython(python, args, request.onProgress, request.signal);
  const rows = rowsFile.safeParse(parseJson(await readFile(rowsPath, 'utf8')));
  if (rows.success) return rows.data;
  throw failed('it wrote no style');
}

async function runPython(
  { program, searchPath }: Python,
  args: readonly string[],
  onProgress: TrainingRequest['onProgress'],
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const child = spawnTied(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: searchPath ?? '/usr/bin:/bin', ...ENVIRONMENT },
    deathSignal: 'KILL',
  });
  const closed = new Promise<string | undefined>((resolve) => {
    let errno: string | undefined;
    child.on('error', (error) => (errno = errnoOf(error)));
    child.on('close', () => resolve(errno));
  });
  const stop = (): void => void stopChild(child, { graceMs: STOP_GRACE_MS });
  signal.addEventListener('abort', stop);
  const tail = new StderrTail();
  let refusal: PermanentError | undefined;
  child.stderr?.setEncoding('utf8').on('data', (text: string) => tail.push(text));
  if (child.stdout !== null)
    createInterface({ input: child.stdout }).on('line', (line) => {
      const said = report.safeParse(parseJson(line)).data;
      if (said === undefined) return;
      if ('share' in said) onProgress(said);
      else refusal = 'missing' in said ? missingError(program, said.missing) : refusedError(said.refused);
    });
  const spawnErrno = await closed;
  signal.removeEventListener('abort', stop);
  signal.throwIfAborted();
  const exit = { status: child.exitCode, signal: child.signalCode };
  if (isMissingProgram(exit, spawnErrno)) throw missingError(program, []);
  if (refusal !== undefined) throw refusal;
  if (spawnErrno === undefined && exit.status === 0) return;
  const how = spawnErrno ?? exit.signal ?? `status ${String(exit.status)}`;
  throw failed(
    `${how}: ${tail.lines().slice(-LINES_IN_MESSAGE).join(' | ') || 'it printed no error message'}`,
  );
}

function missingError(python: string, packages: readonly string[]): PermanentError {
  const what =
    packages.length === 0
      ? `The program ${python} is not installed.`
      : `${python} lacks the ${packages.length === 1 ? 'package' : 'packages'} ${packages.join(', ')}.`;
  return new PermanentError('PROGRAM_MISSING', `${what} The painter learns with PyTorch.`, {
    hint: `Install it: \`${INSTALL}\`. Or name a Python that has it with --python.`,
  });
}

function refusedError(why: string): PermanentError {
  return new PermanentError('MODEL_INVALID', `Cannot add a style to the painter: ${why}`, {
    hint: 'Check which model is published: npm run model -- show painter',
  });
}

function failed(how: string): PermanentError {
  return new PermanentError('TRAINING_FAILED', `The training failed (${how}).`, {
    hint: 'Check that the machine has 2 GB of free memory and that the disk is not full. If both are fine, report this message.',
  });
}
