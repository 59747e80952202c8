/**
 * Two workers whose ffmpeg encodes differently make the segments of one job, as in a fleet that is being updated. The result plays from
 * the first frame to the last, and the report says that two encoders made it.
 */
import { chmod, mkdir, writeFile } from 'node:fs/promises';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { readReport } from '../../../producer/jobs/report.ts';
import { readStatus } from '../../../producer/jobs/status.ts';
import { eventually } from '../../support/eventually.ts';
import { H264, ffmpeg, ffmpegOutput, picture, pictureTimes } from '../../support/media-clips.ts';
import { ProducerFleet } from '../../support/producer-fleet.ts';
import { NO_FAULTS } from '../../support/storage-proxy.ts';

const JOB = 'job-mixed';
/** Two batches of one segment each. */
const FRAMES = 24;
const BATCH = 12;
/** Other x264 settings, so other parameter sets and another order of frames. */
const OTHER_BUILD = `#!/bin/bash
exec /usr/bin/ffmpeg "\${@/sync-lookahead=0/sync-lookahead=0:ref=1:bframes=1:cabac=0}"
`;
/** A neighbour of the right frame has 25. */
const DECIBELS_MIN = 30;

let fleet: ProducerFleet;

beforeAll(async () => {
  fleet = await ProducerFleet.open();
  await ffmpeg([
    ...picture({ size: '160x120', seconds: FRAMES / 25 }),
    ...H264,
    '-qp',
    '0',
    fleet.at('clip.mp4'),
  ]);
  await mkdir(fleet.at('bin'));
  await writeFile(fleet.at('bin/ffmpeg'), OTHER_BUILD);
  await chmod(fleet.at('bin/ffmpeg'), 0o755);
});
afterAll(() => fleet[Symbol.asyncDispose]());

test('segments of two encoders make one result that plays, and the report warns', async () => {
  const { fixture, proxy } = fleet;
  const { blobs } = fixture.storage;
  await fleet.startProducer();
  // The first worker never stores its second segment.
  let segments = 0;
  proxy.faults = ({ operation, path }) => {
    if (operation !== 'put' || !/\/scored\/.*\.mp4$/.test(path)) return undefined;
    segments += 1;
    return segments > 1 ? { kind: 'stall' } : undefined;
  };
  const first = fixture.startWorker({}, proxy.connection);
  await fleet.submit(JOB, 'clip.mp4', { batchSize: BATCH });
  await eventually('one segment is stored', async () => (await fixture.countScored(JOB)) === BATCH);
  first.child.kill('SIGKILL');
  await first.end;
  proxy.faults = NO_FAULTS;
  fixture.startWorker({ PATH: `${fleet.at('bin')}:${process.env['PATH']}` }, proxy.connection);
  const status = await eventually('the job has ended', async () => {
    const found = await readStatus(blobs, JOB);
    return found?.state === 'completed' || found?.state === 'failed' ? found : undefined;
  });
  expect(status).toMatchObject({ state: 'completed', frames: { expected: FRAMES, failed: 0 } });
  expect((await readReport(blobs, JOB))?.warnings).toEqual([
    expect.stringContaining('Workers with different builds of the encoder'),
  ]);

  const result = fleet.at('result.mp4');
  await blobs.getFile('results', status.result?.blobName ?? '', result);
  expect((await pictureTimes(result)).seconds).toEqual((await pictureTimes(fleet.at('clip.mp4'))).seconds);
  expect(Math.min(...(await decibelsOf(result, fleet.at('clip.mp4'))))).toBeGreaterThan(DECIBELS_MIN);
});

/** The peak signal-to-noise ratio of each frame. */
async function decibelsOf(result: string, source: string): Promise<number[]> {
  const graph = '[0:v][1:v]psnr=stats_file=-';
  const output = await ffmpegOutput(['-i', result, '-i', source, '-lavfi', graph, '-f', 'null', '/dev/null']);
  return [...String(output).matchAll(/psnr_avg:([\d.]+|inf)/g)].map(([, value]) =>
    value === 'inf' ? Infinity : Number(value),
  );
}
