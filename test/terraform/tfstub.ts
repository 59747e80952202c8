/**
 * Runs the real Terraform offline against stub providers with Azure's schemas. FRAMEFLEET_TFSTUB is the folder of the stub tool; the
 * default is a folder beside the checkout. The folder may be read-only, so the tool is copied and installed.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TERRAFORM = path.join(ROOT, 'infra', 'terraform');
const SETTINGS = path.join(ROOT, 'test', 'terraform');
/** Limit for the output of Terraform. */
const OUTPUT_BYTES_MAX = 64 * 2 ** 20;
const run = promisify(execFile);

export interface StubSettings {
  /** A tfvars file in this folder. */
  readonly file: string;
  /** Additional lines, which override the file. */
  readonly more?: readonly string[];
}

export interface StubRun {
  readonly passed: boolean;
  /** The output, with runs of white space collapsed, because Terraform wraps lines. */
  readonly output: string;
  /** Contains `plan.json` and, after an apply, `state.json` and `outputs.json`. */
  readonly folder: string;
}

/** Returns the folder of an installed copy. Throws if the tool is missing. */
export async function installTool(): Promise<string> {
  const source = process.env['FRAMEFLEET_TFSTUB'] ?? path.join(ROOT, '..', 'shared', 'tools', 'tfstub');
  if (!existsSync(path.join(source, 'tfstub')))
    throw new Error(`Cannot find tfstub in ${source}. Set FRAMEFLEET_TFSTUB to its folder.`);
  const folder = await mkdtemp(path.join(tmpdir(), 'framefleet-tfstub-'));
  await run('cp', ['-R', '--no-preserve=mode', `${source}/.`, folder]);
  await run('chmod', ['+x', path.join(folder, 'tfstub')]);
  await run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder });
  return folder;
}

export async function removeTool(tool: string): Promise<void> {
  await rm(tool, { recursive: true, force: true });
}

/** Runs init, validate and plan; with `isApplied` also apply, a second plan that must be empty, and destroy. */
export async function runStub(
  tool: string,
  { file, more = [] }: StubSettings,
  { isApplied = false }: { readonly isApplied?: boolean } = {},
): Promise<StubRun> {
  const outputs = path.join(tool, 'runs');
  await mkdir(outputs, { recursive: true });
  const folder = await mkdtemp(path.join(outputs, 'run-'));
  // Later files override earlier ones.
  const moreFile = path.join(folder, 'more.tfvars');
  await writeFile(moreFile, more.map((line) => `${line}\n`).join(''));
  const files = [path.join(SETTINGS, file), moreFile].flatMap((one) => ['--var-file', one]);
  const command = [TERRAFORM, '--out', folder, ...files, ...(isApplied ? ['--apply'] : [])];
  const result = await run(path.join(tool, 'tfstub'), command, { maxBuffer: OUTPUT_BYTES_MAX }).then(
    ({ stdout, stderr }) => ({ passed: true, text: stdout + stderr }),
    (error: Error & { readonly stdout?: string; readonly stderr?: string }) => ({
      passed: false,
      text: `${error.message} ${error.stdout ?? ''} ${error.stderr ?? ''}`,
    }),
  );
  return { passed: result.passed, output: result.text.replaceAll(/[\s│╷╵]+/g, ' '), folder };
}
