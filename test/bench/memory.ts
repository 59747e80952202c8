/**
 * Measures the memory of producer, worker and engine, with their children, during a long video of small frames. It must not grow.
 *
 *   npm run bench:memory [-- frames]      default: 4,000. A first job of 200 frames warms up
 *
 * Prints the resident memory of each program during the job, and the slope of a linear fit through all samples and through the second
 * half, in KiB per 1,000 frames. Takes a few minutes, with one worker.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';

import { type BlobStore, openBlobStore } from '../../shared/azure/blob-store.ts';
import { PATIENT, storageAccount } from '../../shared/azure/credentials.ts';
import { jobStatus } from '../../shared/contract/job.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { findStack } from '../../shared/runtime/rendezvous.ts';
import { enqueue, startStackCommand } from '../support/commands.ts';
import { writeIdentityModel } from '../support/identity-model.ts';
import { ffmpeg, picture } from '../support/media-clips.ts';
import { processesOf } from '../support/processes.ts';
import { testFolder } from '../support/servers.ts';
import { statOf } from './process-stat.ts';

const WARM_FRAMES = 200;
const LONG_FRAMES = Number(process.argv[2] ?? 4_000);
/** Points of the job at which the memory is printed. */
const QUARTERS = [0, 0.25, 0.5, 0.75, 1];
const SAMPLE_EVERY_MS = 500;
const PROGRAMS = {
  producer: 'producer/main.ts',
  'its ffmpeg': 'ffmpeg ',
  worker: 'worker/main.ts',
  engine: 'worker/engine/main.ts',
  scaler: 'scaler/main.ts',
  azurite: 'azurite.js',
} as const;
type Program = keyof typeof PROGRAMS;

interface Sample {
  readonly framesScored: number;
  readonly kib: Readonly<Record<Program, number>>;
}

const folder = await testFolder();
const localFolder = path.join(folder, 'fleet');
await writeIdentityModel(path.join(folder, 'models'));
const fleet = startStackCommand({
  localFolder,
  environment: {
    FRAMEFLEET_CAPACITY_MAX: '1',
    FRAMEFLEET_IDLE_SECONDS: '600',
    FRAMEFLEET_LOCAL_MODELS: path.join(folder, 'models'),
  },
});
try {
  await fleet.said('The local fleet is running');
  const stack = await findStack(localFolder);
  const media = storageAccount(stack?.environment['FRAMEFLEET_MEDIA_STORAGE'] ?? '');
  const blobs = await openBlobStore({ media, system: null }, PATIENT);
  await runJob(blobs, WARM_FRAMES);
  report(await runJob(blobs, LONG_FRAMES));
} finally {
  fleet.child.kill('SIGTERM');
  await fleet.end;
  await rm(folder, { recursive: true, force: true });
}

async function runJob(blobs: BlobStore, frames: number): Promise<Sample[]> {
  const clip = path.join(folder, `${frames}.mp4`);
  await ffmpeg([
    ...picture({ size: '64x48', rate: '25', seconds: frames / 25 }),
    '-c:v',
    'libx264',
    '-preset',
    'ultrafast',
    '-pix_fmt',
    'yuv420p',
    clip,
  ]);
  const { stdout } = await enqueue([clip, '--model', 'identity', '--json', '--detach'], { localFolder }).end;
  const { jobId } = JSON.parse(stdout) as { jobId: string };
  const samples: Sample[] = [];
  for (;;) {
    const bytes = await blobs.get('results', `${jobId}/status.json`);
    const status = bytes === undefined ? undefined : jobStatus.parse(JSON.parse(bytes.toString()));
    if (status?.state === 'failed') throw new Error(status.error?.message);
    samples.push({ framesScored: status?.frames.scored ?? 0, kib: await memory() });
    if (status?.state === 'completed') return samples;
    await systemClock.sleep(SAMPLE_EVERY_MS);
  }
}

/** Resident memory by program. A child counts as part of its parent, unless it is in PROGRAMS. */
async function memory(): Promise<Record<Program, number>> {
  const kib: Record<Program, number> = {
    producer: 0,
    'its ffmpeg': 0,
    worker: 0,
    engine: 0,
    scaler: 0,
    azurite: 0,
  };
  const names = Object.keys(PROGRAMS) as Program[];
  const all = await processesOf(localFolder);
  const owners = new Map(
    all.flatMap(({ pid, command }) => {
      const name = names.find(
        (one) => command.includes(PROGRAMS[one]) && (one !== 'worker' || !command.includes('engine')),
      );
      return name === undefined ? [] : [[pid, name] as const];
    }),
  );
  for (const { pid } of all) {
    const stat = await statOf(pid);
    const owner = owners.get(pid) ?? owners.get(stat?.parent ?? 0);
    if (owner !== undefined) kib[owner] += stat?.residentKib ?? 0;
  }
  return kib;
}

function report(samples: readonly Sample[]): void {
  const after = samples.filter(
    ({ framesScored }) => framesScored >= WARM_FRAMES && framesScored < LONG_FRAMES,
  );
  const second = after.slice(Math.floor(after.length / 2));
  const cell = (text: string): string => text.padStart(8);
  const mib = (kib: number | undefined): string => cell(((kib ?? 0) / 1024).toFixed(0));
  const head = ['start', '1/4', '1/2', '3/4', 'end', 'peak', 'slope', '2nd half'].map(cell).join('');
  print(
    `${after.length} samples over ${LONG_FRAMES} frames of 64x48: resident MiB, and slope in KiB per 1,000 frames`,
  );
  print(`${''.padEnd(10)}${head}`);
  for (const name of Object.keys(PROGRAMS) as Program[]) {
    const values = after.map(({ kib }) => kib[name]);
    const atQuarters = QUARTERS.map((part) => values[Math.round(part * (values.length - 1))]);
    const line = [...atQuarters, Math.max(...values)].map(mib).join('');
    const slopes = [after, second].map((some) => cell((slopeOf(some, name) * 1000).toFixed(0))).join('');
    print(`${name.padEnd(10)}${line}${slopes}`);
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Least squares, in KiB per frame. */
function slopeOf(samples: readonly Sample[], name: Program): number {
  const points = samples.map(({ framesScored, kib }) => [framesScored, kib[name]] as const);
  const mean = (pick: (point: readonly [number, number]) => number): number =>
    points.reduce((sum, point) => sum + pick(point), 0) / points.length;
  const [meanX, meanY] = [mean(([x]) => x), mean(([, y]) => y)];
  const covariance = mean(([x, y]) => (x - meanX) * (y - meanY));
  return covariance / mean(([x]) => (x - meanX) ** 2);
}
