/**
 * The ffmpeg that decodes a piece or encodes a segment is killed or hangs in the middle of a batch. The batch completes with the same
 * segments, no frame is charged, and the job is not split again.
 */
import { readFile, readdir } from 'node:fs/promises';

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { eventually } from '../support/eventually.ts';
import { inForm } from '../support/fault-form.ts';
import { WorkerFixture, countIn, enginePid } from '../support/worker-fixture.ts';

/** A frame is larger than a pipe, so the decoder runs until nearly all frames are scored. */
const SHAPE = { size: 256, segmentFrames: 8 };
const FRAMES = Array.from({ length: 40 }, () => 'steady' as const);
/** Longer than any stall of a busy machine: frames that a worker stores after its lease is lost are in no report. */
const LEASE = { FRAMEFLEET_LEASE_SECONDS: '60' };
/** A part of the command line of each. */
const COMMANDS = { decoder: '-codec_whitelist', encoder: 'libx264' };

let fixture: WorkerFixture;
let undisturbed: Map<number, string>;

beforeAll(async () => {
  fixture = await WorkerFixture.open();
  const batch = await fixture.storeBatch('job-undisturbed', FRAMES, SHAPE);
  await fixture.send(batch);
  fixture.startWorker();
  await fixture.resultsOf(batch);
  undisturbed = await fixture.scored('job-undisturbed');
  await fixture.stopWorkers();
});
afterEach(async () => {
  await fixture.stopWorkers();
  await fixture.clear();
});
afterAll(() => fixture[Symbol.asyncDispose]());

/** Children of an engine have no environment, so they are found by their parent. */
async function findChild(parent: number, commandPart: string): Promise<number | undefined> {
  for (const pid of await readdir('/proc')) {
    const [status, command] = await Promise.all(
      ['status', 'cmdline'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
    );
    if (status?.includes(`\nPPid:\t${parent}\n`) && command?.includes(commandPart)) return Number(pid);
  }
  return undefined;
}

interface BrokenTool {
  readonly tool: keyof typeof COMMANDS;
  readonly signal: 'SIGKILL' | 'SIGSTOP';
  /** What the worker logs when it notices. */
  readonly says: string;
  readonly deliveries: number;
  readonly engines: number;
}

const PIECE = { says: '"interruption":"piece"', deliveries: 2, engines: 1 };
const ENGINE = { says: '"interruption":"engine"', deliveries: 2, engines: 1 };
/** Noticed only after the longest calls to storage: minutes. */
const STUCK = { says: 'it was stuck: waiting for storage or ffmpeg', deliveries: 1, engines: 2 };
const STOPPED_ENCODER: BrokenTool = { tool: 'encoder', signal: 'SIGSTOP', ...STUCK };

test.each<BrokenTool>([
  { tool: 'decoder', signal: 'SIGKILL', ...PIECE },
  { tool: 'decoder', signal: 'SIGSTOP', ...PIECE },
  { tool: 'encoder', signal: 'SIGKILL', ...ENGINE },
  ...inForm({ short: [], long: [STOPPED_ENCODER] }),
])(
  'a batch completes although its $tool receives $signal in mid-batch',
  async ({ tool, signal, says, deliveries, engines }) => {
    const jobId = `job-${tool}-${signal.toLowerCase()}`;
    const batch = await fixture.storeBatch(jobId, FRAMES, SHAPE);
    await fixture.send(batch);
    const worker = fixture.startWorker(LEASE);
    await eventually('a segment is stored', async () => (await fixture.countScored(jobId)) > 0);
    const engine = enginePid(worker);
    const pid = await eventually(`the ${tool} runs`, () => findChild(engine, COMMANDS[tool]));
    process.kill(pid, signal);
    await worker.said(says);

    const results = await fixture.resultsOf(batch);
    await fixture.queueIsEmpty();
    await fixture.stopWorkers();
    expect(results.filter(({ mismatch }) => mismatch !== undefined)).toEqual([]);
    expect(await fixture.takePoison()).toEqual([]);
    expect(undisturbed.size).toBe(FRAMES.length);
    expect(await fixture.scored(jobId)).toEqual(undisturbed);
    // Stored segments were not run again.
    expect(results.reduce((sum, { framesRun }) => sum + framesRun, 0)).toBe(FRAMES.length);
    expect(countIn(worker.heard(), 'delivery ended')).toBe(deliveries);
    expect(countIn(worker.heard(), 'engine started')).toBe(engines);
    const hasEnded = async () => !(await readdir('/proc')).includes(String(pid));
    await eventually(`the ${tool} has ended`, hasEnded);
  },
);
