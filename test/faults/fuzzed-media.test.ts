/**
 * Videos with flipped bytes in their headers and media data: each is cut or decoded, or refused with a reason. As jobs of a real producer
 * with a real worker, all of them end, nothing hangs or crashes, and healthy jobs among them are not affected. In the long form all
 * videos are jobs; in the short form eight are, because a job runs eight media programs.
 */
import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import pLimit from 'p-limit';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { cutPieces } from '../../producer/media/cut-pieces.ts';
import { planCuts } from '../../producer/media/cut-plan.ts';
import { decodeFrames } from '../../producer/media/decode-frames.ts';
import { isWholeJpeg } from '../../producer/media/jpeg-size.ts';
import { readPacketIndex } from '../../producer/media/packet-index.ts';
import { sourceBlob, statusBlob, triggerBlob } from '../../shared/contract/blob-names.ts';
import { type JobStatus, isTerminal, jobStatus } from '../../shared/contract/job.ts';
import { type VideoInfo, checkLimits, probeVideo } from '../../shared/media/probe.ts';
import { type ErrorCode, PermanentError } from '../../shared/runtime/errors.ts';
import { buildRequest } from '../support/build-job.ts';
import { type RunningCommand, startService } from '../support/commands.ts';
import { eventually } from '../support/eventually.ts';
import { inForm, printedSeed } from '../support/fault-form.ts';
import { fuzzedClip } from '../support/fuzz-media.ts';
import { H264, ffmpeg, picture, tone } from '../support/media-clips.ts';
import { withSampleTable } from '../support/mp4-boxes.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { type TestRedis, startTestRedis } from '../support/servers.ts';
import { WorkerFixture } from '../support/worker-fixture.ts';

const INPUTS = inForm({ short: 80, long: 2_000 });
const JOBS = inForm({ short: 8, long: INPUTS });
/** One healthy job for this many damaged ones. */
const INPUTS_PER_NEIGHBOUR = inForm({ short: 5, long: 20 });
/** Jobs in storage at once. */
const WAVE = 40;
const FRAMES = 5;
const TRIES_AT_ONCE = 4;
/** The producer holds little of ffmpeg's data and must not grow. */
const PRODUCER_MIB_MAX = 250;

/** The error codes with which a damaged source may be refused. */
const REASONS: readonly ErrorCode[] = [
  'SOURCE_NOT_VIDEO',
  'SOURCE_NO_PICTURE',
  'SOURCE_TRUNCATED',
  'SOURCE_TOO_LARGE',
];

const CLIPS = {
  mp4: [...H264, '-c:a', 'aac', '-movflags', '+faststart'],
  mkv: [...H264, '-c:a', 'aac'],
  avi: ['-c:v', 'mpeg4', '-c:a', 'mp2'],
  ts: [...H264, '-c:a', 'mp2'],
} as const;

const random = seededRandom(printedSeed('fuzzed media'));
let fixture: WorkerFixture;
let redis: TestRedis;
let producer: RunningCommand;
const clips = new Map<string, Buffer>();

beforeAll(async () => {
  fixture = await WorkerFixture.open();
  redis = await startTestRedis();
  for (const [extension, codecs] of Object.entries(CLIPS)) {
    const file = path.join(fixture.folder, `clip.${extension}`);
    const inputs = [...picture({ size: '32x32', rate: '10', seconds: 0.5 }), ...tone({ seconds: 0.5 })];
    await ffmpeg([...inputs, ...codecs, file]);
    clips.set(extension, await readFile(file));
  }
  producer = startService('producer', {
    localFolder: fixture.folder,
    environment: {
      FRAMEFLEET_MEDIA_STORAGE: fixture.storage.connection.media,
      FRAMEFLEET_SYSTEM_STORAGE: fixture.storage.connection.system,
      FRAMEFLEET_REDIS_URL: redis.url,
      FRAMEFLEET_WORK_FOLDER: path.join(fixture.folder, 'work'),
      FRAMEFLEET_INTAKE_SCAN_SECONDS: '0.5',
      FRAMEFLEET_FRAMES_MAX: '1000',
      FRAMEFLEET_DURATION_SECONDS_MAX: '1000',
      FRAMEFLEET_PIXELS_MAX: '1000000',
      FRAMEFLEET_STEP_SECONDS_MAX: '60',
    },
  });
  await producer.said('service ready');
  await fixture.startWorker().said('service ready');
});
afterAll(async () => {
  producer.child.kill('SIGTERM');
  await producer.end;
  await fixture[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

/** The damaged clip with this index: alternates containers, and header and body. */
function input(index: number) {
  const extensions = [...clips.keys()];
  const extension = extensions[index % extensions.length] ?? 'mp4';
  const clip = clips.get(extension) ?? Buffer.alloc(0);
  return { extension, clip, ...fuzzedClip(clip, index % 8 < 4 ? 'header' : 'body', random) };
}

async function submit(jobId: string, extension: string, bytes: Buffer): Promise<void> {
  const { blobs } = fixture.storage;
  const name = `clip.${extension}`;
  await blobs.put('incoming', sourceBlob(jobId, name), bytes);
  const stored = await blobs.stat('incoming', sourceBlob(jobId, name));
  const request = buildRequest(jobId, {
    source: { name, sizeBytes: bytes.length, etag: stored?.etag ?? '' },
    model: { name: 'identity' },
    parameters: {},
  });
  await blobs.put('incoming', triggerBlob(jobId), JSON.stringify(request));
}

async function ended(jobId: string): Promise<JobStatus> {
  return eventually(
    `the job ${jobId} ends`,
    async () => {
      const bytes = await fixture.storage.blobs.get('results', statusBlob(jobId));
      const status = bytes && jobStatus.parse(JSON.parse(String(bytes)));
      return status !== undefined && isTerminal(status.state) ? status : undefined;
    },
    // A bound for a hang: on a busy machine, a step takes half a minute, and forty jobs wait for two slots.
    { boundMs: inForm({ short: 540_000, long: 1_800_000 }) },
  );
}

/** If cutting fails, a source is decoded. */
async function tryToCut(sourcePath: string, video: VideoInfo): Promise<void> {
  const plan = planCuts(video, await readPacketIndex(sourcePath, video, 1000));
  if (plan.kind === 'decode') return;
  const folder = `${sourcePath}-pieces`;
  try {
    const { pieceStarts } = plan;
    const pieces = await Array.fromAsync(
      cutPieces({ sourcePath, video, pieceStarts, folder, cpuSecondsMax: 60 }),
    );
    expect(pieces).toHaveLength(pieceStarts.length);
  } catch (error) {
    if (!(error instanceof PermanentError && error.code === 'MEDIA_TOOL_FAILED')) throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function residentMib(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

test(
  `${JOBS} jobs with damaged videos all end, and the healthy jobs among them are completed`,
  { timeout: inForm({ short: 600_000, long: 7_200_000 }) },
  async () => {
    const outcomes: Record<string, number> = {};
    const unexpected: unknown[] = [];
    const results = new Map<string, Set<string>>();
    for (let first = 0; first < JOBS; first += WAVE) {
      const neighbours: string[] = [];
      const damaged = new Map<string, string>();
      for (let index = first; index < Math.min(first + WAVE, JOBS); index += 1) {
        const { extension, clip, bytes, how } = input(index);
        damaged.set(`fuzz-${index}-${extension}`, how);
        await submit(`fuzz-${index}-${extension}`, extension, bytes);
        if (index % INPUTS_PER_NEIGHBOUR !== 2) continue;
        neighbours.push(`neighbour-${index}-${extension}`);
        await submit(`neighbour-${index}-${extension}`, extension, clip);
      }
      for (const jobId of neighbours) {
        const status = await ended(jobId);
        expect(status).toMatchObject({ state: 'completed', frames: { expected: FRAMES, failed: 0 } });
        const result = await fixture.storage.blobs.get('results', status.result?.blobName ?? '');
        const extension = jobId.split('-').at(-1) ?? '';
        const hash = createHash('sha256')
          .update(result ?? '')
          .digest('hex');
        results.set(extension, (results.get(extension) ?? new Set()).add(hash));
      }
      for (const [jobId, how] of damaged) {
        const { state, error } = await ended(jobId);
        const outcome = state === 'completed' ? state : (error?.code ?? 'none');
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
        if (state === 'failed' && !REASONS.some((code) => code === error?.code))
          unexpected.push({ jobId, how, error });
      }
      expect(unexpected).toEqual([]);
    }
    process.stdout.write(`fuzzed media: ${JSON.stringify(outcomes)}\n`);
    // The same source gives the same result, whatever ran beside it.
    for (const hashes of results.values()) expect(hashes.size).toBe(1);
    expect(outcomes['completed']).toBeGreaterThan(JOBS / 10);
    expect(producer.child.exitCode).toBeNull();
    expect(await residentMib(producer.child.pid)).toBeLessThan(PRODUCER_MIB_MAX);
  },
);

test('a job whose source declares 9.4e13 frames fails, and the next job is completed', async () => {
  const file = path.join(fixture.folder, 'plain.mp4');
  await ffmpeg([...picture({ size: '32x32', rate: '10', seconds: 0.5 }), ...H264, file]);
  const table = { entries: 22_000, count: 0xff_ff_ff_ff, mdhdSeconds: 60 };
  await submit('liar-mp4', 'mp4', withSampleTable(await readFile(file), table));
  await submit('behind-the-liar', 'mp4', clips.get('mp4') ?? Buffer.alloc(0));
  expect(await ended('behind-the-liar')).toMatchObject({ state: 'completed', frames: { expected: FRAMES } });
  expect(await ended('liar-mp4')).toMatchObject({ state: 'failed', error: { code: 'SOURCE_NOT_VIDEO' } });
});

test.runIf(JOBS < INPUTS)(
  `${INPUTS - JOBS} damaged videos are cut and decoded, or refused with a reason`,
  { timeout: 600_000 },
  async () => {
    const unexpected: unknown[] = [];
    let decoded = 0;
    const tryOne = async (index: number): Promise<void> => {
      const { extension, bytes, how } = input(index);
      const sourcePath = path.join(fixture.folder, `damaged-${index}.${extension}`);
      await writeFile(sourcePath, bytes);
      try {
        const video = await probeVideo(sourcePath);
        checkLimits(video, { framesMax: 1000, durationSecondsMax: 1000, pixelsMax: 1e6 });
        await tryToCut(sourcePath, video);
        const limits = { framesMax: 1000, durationSecondsMax: 1000, wallSecondsMax: 60, cpuSecondsMax: 60 };
        for await (const jpeg of decodeFrames({ sourcePath, video, limits }))
          expect(isWholeJpeg(jpeg)).toBe(true);
        decoded += 1;
      } catch (error) {
        const isReason = error instanceof PermanentError && REASONS.some((code) => code === error.code);
        if (!isReason) unexpected.push({ how: `${extension}, ${how}`, error });
      } finally {
        await rm(sourcePath);
      }
    };
    const indices = Array.from({ length: INPUTS - JOBS }, (_, offset) => JOBS + offset);
    await pLimit(TRIES_AT_ONCE).map(indices, tryOne);
    process.stdout.write(`fuzzed media: ${decoded} of ${indices.length} decoded\n`);
    expect(unexpected).toEqual([]);
    expect(decoded).toBeGreaterThan(indices.length / 10);
  },
);
