/**
 * `npm run stage:dashboard`: runs a small local fleet with prices and a Prometheus that scrapes it as in docker-compose.yml, to have data
 * for the dashboard. Waves of jobs alternate with pauses. Every second wave includes a malformed message and a killed engine. Runs
 * until Ctrl-C.
 *
 *   npm run stage:dashboard                                       prints the address of its Prometheus
 *   npm run draw:dashboard -- --prometheus URL --range 20m        in another shell
 *
 * A wave takes about four minutes. Alerts keep their usual `for` durations.
 */
import { globSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { storageAccount } from '../../shared/azure/credentials.ts';
import { openWorkQueue } from '../../shared/azure/work-queue.ts';
import { rest, systemClock } from '../../shared/runtime/clock.ts';
import { findStack } from '../../shared/runtime/rendezvous.ts';
import { enqueue, startStackCommand } from '../support/commands.ts';
import { findProcess } from '../support/processes.ts';
import { type Prometheus, startPrometheus } from '../support/prometheus.ts';
import { testFolder } from '../support/servers.ts';

const SAMPLE = 'infra/sample/harbour.mp4';
const STYLES = ['starry-night', 'great-wave', 'candy'] as const;
/** Of 100 frames each, which take two workers on CPUs a few minutes. */
const JOBS_IN_WAVE = 8;
const FIRST_REST_MS = 60_000;
const REST_MS = 60_000;
const FAULTS_EVERY_WAVES = 2;
/** As in infra/monitoring/prometheus.yml. */
const SCRAPE_EVERY_SECONDS = 5;
const POLL_EVERY_MS = 2_000;

const folder = await testFolder();
const localFolder = path.join(folder, 'fleet');
const workersFile = path.join(folder, 'workers.json');
const stopping = new AbortController();
process.once('SIGINT', () => stopping.abort());
process.once('SIGTERM', () => stopping.abort());
const restFor = (ms: number): Promise<void> => rest(systemClock, ms, stopping.signal);

const fleet = startStackCommand({
  localFolder,
  environment: {
    FRAMEFLEET_CAPACITY_MAX: '2',
    FRAMEFLEET_IDLE_SECONDS: '60',
    FRAMEFLEET_PRICES: 'local=0.10',
  },
});
try {
  await fleet.said('Press Ctrl-C to stop it');
  const addressOf = (room: string): string =>
    new RegExp(`http://(\\S+)/metrics {2}${room}`).exec(fleet.heard())?.[1] ?? '';
  await writeTargets([]);
  await using prometheus = await startPrometheus(
    folder,
    { producer: addressOf('producer'), scaler: addressOf('scaler'), worker: { file: workersFile } },
    globSync(path.resolve('infra/monitoring/{rules,alerts}.yml')),
    { everySeconds: SCRAPE_EVERY_SECONDS },
  );
  print(`Prometheus is running at ${prometheus.url}. Press Ctrl-C to stop.`);
  await Promise.race([Promise.all([followWorkers(), runWaves(prometheus)]), fleetExit()]);
} finally {
  fleet.child.kill('SIGTERM');
  await fleet.end;
  await rm(folder, { recursive: true, force: true });
}

async function runWaves(prometheus: Prometheus): Promise<void> {
  await restFor(FIRST_REST_MS);
  for (let wave = 1; !stopping.signal.aborted; wave += 1) {
    print(`wave ${wave}: ${JOBS_IN_WAVE} jobs`);
    for (let job = 0; job < JOBS_IN_WAVE; job += 1) {
      const style = STYLES[job % STYLES.length] ?? STYLES[0];
      await enqueue([SAMPLE, '--style', style, '--detach', '--json'], { localFolder }).end;
    }
    if (wave % FAULTS_EVERY_WAVES === 0) await injectFaults();
    await waitUntil(async () => (await prometheus.value('framefleet:backlog_frames > 0')) !== undefined);
    await waitUntil(() => isIdle(prometheus));
    await restFor(REST_MS);
  }
}

async function fleetExit(): Promise<never> {
  const { status, signal } = await fleet.end;
  throw new Error(`the fleet ended (${status ?? signal}): ${fleet.heard()}`);
}

/** No frame is left and no instance runs. */
async function isIdle(prometheus: Prometheus): Promise<boolean> {
  const figures = ['framefleet:backlog_frames', 'sum(framefleet:instances)'];
  return (await Promise.all(figures.map((one) => prometheus.value(one)))).every((value) => value === 0);
}

async function waitUntil(condition: () => Promise<boolean>): Promise<void> {
  while (!stopping.signal.aborted && !(await condition())) await restFor(POLL_EVERY_MS);
}

async function injectFaults(): Promise<void> {
  const stack = await findStack(localFolder);
  const system = storageAccount(stack?.environment['FRAMEFLEET_SYSTEM_STORAGE'] ?? '');
  await (await openWorkQueue(system, 'frame-batches')).send('not a batch');
  const engine = await findProcess(localFolder, 'worker/engine/main.ts');
  if (engine !== undefined) process.kill(engine.pid, 'SIGKILL');
  print('sent a malformed message and killed an engine');
}

/** Keeps the scrape targets up to date. Workers start and stop, each on its own port, which it logs. */
async function followWorkers(): Promise<void> {
  const log = path.join(localFolder, 'shared', 'logs', 'scaler.log');
  while (!stopping.signal.aborted) {
    const lines = (await readFile(log, 'utf8')).split('\n');
    const ready = lines.filter((line) => line.includes('"room":"worker"') && line.includes('service ready'));
    const addresses = ready.map((line) => `127.0.0.1:${/"port":(\d+)/.exec(line)?.[1]}`);
    const answering = await Promise.all(
      addresses.map((address) =>
        fetch(`http://${address}/metrics`).then(
          ({ ok }) => ok,
          () => false,
        ),
      ),
    );
    const targets = addresses.filter((_, index) => answering[index]);
    await writeTargets(targets);
    await restFor(POLL_EVERY_MS);
  }
}

/** Replaces the file atomically, because Prometheus may read it at any time. */
async function writeTargets(targets: readonly string[]): Promise<void> {
  await writeFile(`${workersFile}.new`, JSON.stringify([{ targets }]));
  await rename(`${workersFile}.new`, workersFile);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
