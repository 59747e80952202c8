/** What a worker's cold start consists of: process, model, first frame. The batch waits before the worker starts. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { WorkerFixture } from '../../support/worker-fixture.ts';
import { DEVICE_HOOK } from '../bench-fleet.ts';
import type { Scenario } from '../scenario.ts';

export const coldStart: Scenario = {
  figures: [
    { name: 'start-process', title: 'Cold start: until the worker is ready', unit: 's', target: undefined },
    {
      name: 'start-model',
      title: 'Cold start: from there until the painter is loaded',
      unit: 's',
      target: undefined,
    },
    {
      name: 'start-frame',
      title: 'Cold start: from there until the first result',
      unit: 's',
      target: undefined,
    },
  ],
  measure: async (folder) => {
    await using fixture = await WorkerFixture.open();
    await fixture.publish(path.resolve('worker/models'));
    const batch = await fixture.storeBatch('job-cold', ['ordinary'], { model: 'painter', size: 256 });
    await fixture.send(batch);
    const calls = path.join(folder, 'calls.ndjson');
    const now = (): number => performance.timeOrigin + performance.now();
    const startedAt = now();
    const worker = fixture.startWorker({
      NODE_OPTIONS: `--import ${DEVICE_HOOK}`,
      FRAMEFLEET_BENCH_RUNS: calls,
    });
    await worker.said('service ready');
    const readyAt = now();
    await fixture.resultsOf(batch);
    const resultAt = now();
    await fixture.stopWorkers();
    const [loaded = '[]'] = (await readFile(calls, 'utf8')).split('\n');
    const [, , loadedAt] = JSON.parse(loaded) as [string, number, number];
    return {
      'start-process': (readyAt - startedAt) / 1000,
      'start-model': (loadedAt - readyAt) / 1000,
      'start-frame': (resultAt - loadedAt) / 1000,
    };
  },
};
