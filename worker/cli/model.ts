/**
 * `npm run model -- add|learn|list|show|test|remove`: models of one's own. Prints the answer on standard output and everything else on standard
 * error. See `model/options.ts`.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { callerPath, storageCommandConfig } from '../../shared/command/config.ts';
import { onInterrupt, print, runCommand, say } from '../../shared/command/run-command.ts';
import { EXIT, PermanentError } from '../../shared/runtime/errors.ts';
import { watchParent } from '../../shared/runtime/watch-parent.ts';
import { type ImportedModel, importModel } from '../import/import-model.ts';
import { runTrial, uniformityWarning } from '../import/trial.ts';
import { readLabels } from './model/labels.ts';
import { learn } from './model/learn.ts';
import { type ModelOptions, parseModelOptions } from './model/options.ts';
import {
  type PublishedModel,
  fetchPublished,
  listPublished,
  nextVersion,
  refusePublished,
} from './model/published.ts';
import { type ModelShelf, openModelShelf } from './model/shelf.ts';
import { formatText, modelTable, trialText } from './model/text.ts';

/** A frame of the sample video. */
const SAMPLE_PICTURE = fileURLToPath(new URL('../../infra/sample/frame.jpg', import.meta.url));

type OptionsFor<Verb extends ModelOptions['verb']> = Extract<ModelOptions, { readonly verb: Verb }>;

const argv = process.argv.slice(2);
const { signal, interrupt } = onInterrupt();
await runCommand(argv, main, signal);

async function main(): Promise<number> {
  const options = parseModelOptions(argv);
  if (options === null) return EXIT.ok;
  const config = storageCommandConfig();
  watchParent(config.environment, interrupt);
  await using shelf = await openModelShelf(config, signal);
  switch (options.verb) {
    case 'add':
      await add(options, shelf);
      break;
    case 'learn':
      await learn(options, shelf, { searchPath: config.environment['PATH'], signal });
      break;
    case 'list':
      await list(options, shelf.blobs);
      break;
    case 'show':
      show(await fetchPublished(shelf.blobs, options), options);
      break;
    case 'test':
      await test(options, shelf.blobs);
      break;
    case 'remove':
      await remove(options, shelf);
      break;
  }
  return EXIT.ok;
}

async function add(options: OptionsFor<'add'>, shelf: ModelShelf): Promise<void> {
  const { file, name, fit, large, isSteady, half, labels, picture, out, asJson } = options;
  const names = labels === null ? {} : { labels: await readLabels(callerPath(labels)) };
  const answers = { ...options.answers, ...names };
  const version = options.version ?? (await nextVersion(shelf.blobs, name));
  await refusePublished(shelf.blobs, { name, version });
  const folder = await mkdtemp(path.join(tmpdir(), 'framefleet-model-'));
  try {
    say(`Trying ${path.basename(file)} on a picture…`);
    const outputPath = path.join(callerPath(out), `${name}-${version}.jpg`);
    const imported = await importModel({
      file: callerPath(file),
      name,
      version,
      fit,
      large,
      isSteady,
      half,
      answers,
      outputPath,
      picturePath: picture === null ? SAMPLE_PICTURE : callerPath(picture),
      folder: path.join(folder, name),
    });
    await shelf.publish(path.join(folder, name), imported.manifest);
    report(imported, outputPath, asJson);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function report(
  { manifest, format, trial, warnings, halfRemark }: ImportedModel,
  outputPath: string,
  asJson: boolean,
): void {
  if (asJson) {
    const seen =
      trial.kind === 'tried'
        ? { picture: outputPath, seconds: trial.main.seconds }
        : { numbers: JSON.parse(trial.line) as unknown, seconds: trial.seconds };
    print(JSON.stringify({ manifest, ...seen, warnings, float16: halfRemark ?? null }));
    return;
  }
  print(`${manifest.name} ${manifest.version}`);
  for (const line of [...formatText(format, manifest), ...trialText(trial, outputPath)]) say(line);
  if (halfRemark !== undefined) say(halfRemark);
  for (const warning of warnings) say(`Warning: ${warning}`);
  say(`Use it with: npm run enqueue -- video.mp4 --model ${manifest.name}`);
}

async function list({ asJson }: OptionsFor<'list'>, blobs: BlobStore): Promise<void> {
  const models = await listPublished(blobs);
  if (asJson) print(JSON.stringify({ count: models.length, models }));
  else if (models.length === 0) say('No models.');
  else print(modelTable(models));
}

function show({ manifest }: PublishedModel, { asJson }: { readonly asJson: boolean }): void {
  print(asJson ? JSON.stringify(manifest) : JSON.stringify(manifest, undefined, 2));
}

async function test(options: OptionsFor<'test'>, blobs: BlobStore): Promise<void> {
  const { out, asJson } = options;
  const folder = await mkdtemp(path.join(tmpdir(), 'framefleet-model-'));
  try {
    const { manifest, manifestPath, modelPath } = await fetchPublished(blobs, options, folder);
    const outputPath = path.join(callerPath(out), `${manifest.name}-${manifest.version}.jpg`);
    const picturePath = options.picture === null ? SAMPLE_PICTURE : callerPath(options.picture);
    const trial = await runTrial({ modelPath, manifestPath, picturePath, outputPath });
    if ('reason' in trial)
      throw new PermanentError(
        'MODEL_INVALID',
        `The model ${manifest.name} ${manifest.version} cannot be used: ${trial.reason}`,
        { hint: 'Add it again as a new version, and remove this one.' },
      );
    const warning = uniformityWarning(trial);
    const picture = trial.kind === 'tried' ? { picture: outputPath } : {};
    if (asJson)
      print(JSON.stringify({ ...trial, ...picture, warnings: warning === undefined ? [] : [warning] }));
    else print(trialText(trial, outputPath).join('\n'));
    if (warning !== undefined && !asJson) say(`Warning: ${warning}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function remove(options: OptionsFor<'remove'>, shelf: ModelShelf): Promise<void> {
  const { name, version } = await shelf.remove(options);
  if (options.asJson) print(JSON.stringify({ removed: { name, version } }));
  else say(`Removed ${name} ${version}. Jobs that still use it fail.`);
}
