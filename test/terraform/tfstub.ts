/**
 * The real Terraform against stub providers that have Azure's schemas, offline: see the tool's own README. Where it is, says
 * FRAMEFLEET_TFSTUB; else it is looked for beside the checkout. It may be read-only, so a copy is made and installed.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const GROUND = path.join(ROOT, 'infra', 'terraform');
const SETTINGS = path.join(ROOT, 'test', 'terraform');
/** Of what Terraform prints about a plan. */
const OUTPUT_BYTES_MAX = 64 * 2 ** 20;
const run = promisify(execFile);

export interface Settings {
  /** A file of settings in this folder. */
  readonly file: string;
  /** More of them, or others: lines of such a file. */
  readonly more?: readonly string[];
}

export interface StubRun {
  readonly passed: boolean;
  /** What was said, with each run of white space as one space: Terraform breaks lines where it likes. */
  readonly said: string;
  /** Where `plan.json` and, after an apply, `state.json` and `outputs.json` are. */
  readonly folder: string;
}

/** Returns the folder of an installed copy. Throws where the tool cannot be found. */
export async function installTool(): Promise<string> {
  const source = process.env['FRAMEFLEET_TFSTUB'] ?? path.join(ROOT, '..', 'shared', 'tools', 'tfstub');
  if (!existsSync(path.join(source, 'tfstub')))
    throw new Error(`There is no tfstub in ${source}: set FRAMEFLEET_TFSTUB to its folder.`);
  const folder = await mkdtemp(path.join(tmpdir(), 'framefleet-tfstub-'));
  await run('cp', ['-R', '--no-preserve=mode', `${source}/.`, folder]);
  await run('chmod', ['+x', path.join(folder, 'tfstub')]);
  await run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder });
  return folder;
}

export async function removeTool(tool: string): Promise<void> {
  await rm(tool, { recursive: true, force: true });
}

/** init, validate, plan: and with `isApplied` also apply, a second plan that must be empty, and destroy. */
export async function runStub(
  tool: string,
  { file, more = [] }: Settings,
  { isApplied = false }: { readonly isApplied?: boolean } = {},
): Promise<StubRun> {
  const outputs = path.join(tool, 'runs');
  await mkdir(outputs, { recursive: true });
  const folder = await mkdtemp(path.join(outputs, 'run-'));
  // The later file wins.
  const moreFile = path.join(folder, 'more.tfvars');
  await writeFile(moreFile, more.map((line) => `${line}\n`).join(''));
  const files = [path.join(SETTINGS, file), moreFile].flatMap((one) => ['--var-file', one]);
  const command = [GROUND, '--out', folder, ...files, ...(isApplied ? ['--apply'] : [])];
  const tried = await run(path.join(tool, 'tfstub'), command, { maxBuffer: OUTPUT_BYTES_MAX }).then(
    ({ stdout, stderr }) => ({ passed: true, text: stdout + stderr }),
    (error: Error & { readonly stdout?: string; readonly stderr?: string }) => ({
      passed: false,
      text: `${error.message} ${error.stdout ?? ''} ${error.stderr ?? ''}`,
    }),
  );
  return { passed: tried.passed, said: tried.text.replaceAll(/[\s│╷╵]+/g, ' '), folder };
}
