/** `npm run jobs`, `status`, `watch`, `logs`, `pause`, `resume`, `priority`, `cancel`, `retry` and `clean`, on jobs of a real fleet. */
import { afterAll, beforeAll, expect, test } from 'vitest';

import { readStatus } from '../../../producer/jobs/status.ts';
import { JOB_CONTROLS_CHANGED_BLOB, controlBlob, jobPrefix } from '../../../shared/contract/blob-names.ts';
import { fetchResult, jobCommand } from '../../support/commands.ts';
import { eventually } from '../../support/eventually.ts';
import { H264, ffmpeg, picture, pictureTimes } from '../../support/media-clips.ts';
import { type ModelFleet, startModelFleet } from '../../support/model-fleet.ts';

/** Enough that a job takes several times as long as a command. */
const FRAMES = 240;
const BATCH = 16;
const SLOW = ['--model', 'painter', '--batch', String(BATCH)];

let fleet: ModelFleet;

interface Seen {
  readonly state: string;
  readonly doing: string;
  readonly priority: string;
  readonly waitsFor: string | null;
  readonly frames: { readonly scored: number; readonly underway: number };
}

beforeAll(async () => {
  fleet = await startModelFleet();
  await ffmpeg([
    ...picture({ size: '320x180', rate: '24', seconds: FRAMES / 24 }),
    ...H264,
    fleet.at('long.mp4'),
  ]);
});
afterAll(() => fleet[Symbol.asyncDispose]());

function run(...args: string[]) {
  return jobCommand(args, { localFolder: fleet.localFolder }).end;
}

async function seen(jobId: string): Promise<Seen> {
  return JSON.parse((await run('status', jobId, '--json')).stdout) as Seen;
}

/** Cheaper than the command: for conditions that are tried again and again. */
const stored = (jobId: string) => readStatus(fleet.blobs, jobId);

async function begin(): Promise<string> {
  const { stdout } = await fleet.run(fleet.at('long.mp4'), ...SLOW, '--detach', '--json');
  const { jobId } = JSON.parse(stdout) as { jobId: string };
  await eventually(`the job ${jobId} is scored`, async () => ((await stored(jobId))?.frames.scored ?? 0) > 0);
  return jobId;
}

/** The etags of the stored segments. */
async function segmentsOf(jobId: string): Promise<Map<string, string>> {
  const blobs = await Array.fromAsync(fleet.blobs.list('scored', { prefix: jobPrefix(jobId) }));
  return new Map(blobs.filter(({ name }) => name.endsWith('.mp4')).map(({ name, etag }) => [name, etag]));
}

/** Returns how many frames are scored when the batches in hand are finished and the status says so. */
async function stillAfterBatches(jobId: string): Promise<number> {
  await eventually('no message is left', async () => (await fleet.batches.countApprox()) === 0);
  const frames = BATCH * (await segmentsOf(jobId)).size;
  await eventually('the status has them', async () => (await stored(jobId))?.frames.scored === frames);
  return frames;
}

test('a job is paused, shown, given another priority, resumed and completed with every frame', async () => {
  const jobId = await begin();
  const paused = await run('pause', jobId);
  expect(paused).toMatchObject({ status: 0, stdout: `${jobId}\n` });
  expect(paused.stderr).toContain(`npm run resume -- ${jobId}`);
  const before = await stillAfterBatches(jobId);
  expect(before).toBeLessThan(FRAMES);
  const { state, doing, waitsFor } = await seen(jobId);
  expect({ state, doing }).toEqual({ state: 'running', doing: 'paused' });
  expect(waitsFor).toContain('It is paused.');
  expect((await run('jobs')).stdout).toMatch(
    new RegExp(`^${jobId} +paused +normal +painter +${FRAMES} `, 'm'),
  );
  // Another job runs meanwhile, and nothing more of this one.
  await ffmpeg([...picture({ size: '96x64', rate: '24', seconds: 1 }), ...H264, fleet.at('short.mp4')]);
  expect(await fleet.run(fleet.at('short.mp4'))).toMatchObject({ status: 0 });
  expect((await seen(jobId)).frames.scored).toBe(before);

  expect(await run('priority', jobId, 'high')).toMatchObject({ status: 0 });
  expect(await run('resume', jobId)).toMatchObject({ status: 0 });
  const watched = await run('watch', jobId);
  expect(watched).toMatchObject({ status: 0 });
  expect(watched.stderr).toContain(`npm run fetch -- ${jobId}`);
  expect((await seen(jobId)).priority).toBe('high');
  const fetched = await fetchResult([jobId, '--out', fleet.at('resumed.mp4')], {
    localFolder: fleet.localFolder,
  }).end;
  expect(fetched).toMatchObject({ status: 0 });
  expect((await pictureTimes(fleet.at('resumed.mp4'))).seconds.length).toBe(FRAMES);
});

test('a cancelled job stops, its messages go, and a retry runs only the rest', async () => {
  const jobId = await begin();
  const cancelled = await run('cancel', jobId);
  expect(cancelled).toMatchObject({ status: 0 });
  expect(cancelled.stderr).toContain(`npm run retry -- ${jobId}`);
  await eventually('no message is left', async () => (await fleet.batches.countApprox()) === 0);
  expect((await seen(jobId)).state).toBe('cancelled');
  const refused = await run('pause', jobId);
  expect(refused).toMatchObject({ status: 1 });
  expect(refused.stderr).toContain('has ended (cancelled)');
  expect(await run('watch', jobId)).toMatchObject({ status: 1 });
  const kept = await segmentsOf(jobId);
  expect(kept.size).toBeGreaterThan(0);

  expect(await run('retry', jobId)).toMatchObject({ status: 0 });
  await eventually('the job is open again', async () => (await stored(jobId))?.state !== 'cancelled');
  expect(await run('watch', jobId)).toMatchObject({ status: 0 });
  const after = await segmentsOf(jobId);
  for (const [name, etag] of kept) expect([name, after.get(name)]).toEqual([name, etag]);
  await fetchResult([jobId, '--out', fleet.at('retried.mp4')], { localFolder: fleet.localFolder }).end;
  expect((await pictureTimes(fleet.at('retried.mp4'))).seconds.length).toBe(FRAMES);
  const nothing = await run('retry', jobId);
  expect(nothing).toMatchObject({ status: 1 });
  expect(nothing.stderr).toContain('There is nothing to retry');

  const lines = (await run('logs', jobId, '--frame', '12', '--json')).stdout.trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toContainEqual(
    expect.objectContaining({ frame: 12, outcome: 'stored' }),
  );
  expect((await run('logs', jobId, '--failed')).stdout).toBe('');
});

test('nothing of a job is left after it is cleaned up', async () => {
  const jobId = await begin();
  expect(await run('clean', jobId)).toMatchObject({ status: 69 });
  expect(await run('cancel', jobId, '--clean')).toMatchObject({ status: 0 });
  const cleaned = await run('clean', jobId, '--all');
  expect(cleaned).toMatchObject({ status: 0 });
  for (const container of ['incoming', 'results'] as const)
    expect(await Array.fromAsync(fleet.blobs.list(container, { prefix: jobPrefix(jobId) }))).toEqual([]);
  await eventually(
    'pieces, segments and logs are gone',
    async () => {
      const left = await Promise.all(
        (['pieces', 'scored', 'logs'] as const).map((container) =>
          Array.fromAsync(fleet.blobs.list(container, { prefix: jobPrefix(jobId) })),
        ),
      );
      return left.flat().length === 0;
    },
    { boundMs: 180_000 },
  );
  const unknown = await run('status', jobId);
  expect(unknown).toMatchObject({ status: 66 });
  expect((await run('jobs', '--limit', '100')).stdout).not.toContain(jobId);
});

test('a control that cannot be read is ignored, and the job is completed', async () => {
  const { stdout } = await fleet.run(fleet.at('short.mp4'), '--detach', '--json');
  const { jobId } = JSON.parse(stdout) as { jobId: string };
  await fleet.blobs.put('control', controlBlob(jobId), 'garbage');
  await fleet.blobs.put('control', JOB_CONTROLS_CHANGED_BLOB, '');
  expect(await run('watch', jobId)).toMatchObject({ status: 0 });
});
