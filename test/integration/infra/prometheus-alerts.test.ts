/** The alerts, rules and dashboards that are shipped, in a real Prometheus and before its own tool. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { producerMetrics } from '../../../producer/metrics.ts';
import { systemClock } from '../../../shared/runtime/clock.ts';
import { createHttp, listen } from '../../../shared/runtime/http.ts';
import { LoopHealth } from '../../../shared/runtime/loop-health.ts';
import { ask, stepSeconds } from '../../bench/dashboard/answers.ts';
import { dashboard } from '../../bench/dashboard/dashboard.ts';
import { eventually } from '../../support/eventually.ts';
import { type Prometheus, promtool, startPrometheus } from '../../support/prometheus.ts';
import { testFolder } from '../../support/servers.ts';

const MONITORING = path.resolve('infra/monitoring');
const shipped = (name: string): string => path.join(MONITORING, name);

describe('promtool', () => {
  test.each(['prometheus.yml', 'prometheus-azure.yml'])('takes %s, with its rules', async (name) => {
    expect(await promtool(['check', 'config', shipped(name)])).toMatchObject({ status: 0 });
  });

  test('sees every alert fire in its trouble, and none for a fleet that is well', async () => {
    const { status, said } = await promtool(['test', 'rules', shipped('alerts.test.yml')]);
    expect({ status, said: said.trim() }).toEqual({ status: 0, said: expect.stringMatching(/SUCCESS$/) });
  });

  test('finds out a threshold that is wrong', async () => {
    const folder = await testFolder();
    try {
      for (const name of ['rules.yml', 'alerts.yml', 'alerts.test.yml']) {
        const text = await readFile(shipped(name), 'utf8');
        await writeFile(
          path.join(folder, name),
          text.replace('_timestamp_seconds) > 60', '_timestamp_seconds) > 6000'),
        );
      }
      const { status, said } = await promtool(['test', 'rules', path.join(folder, 'alerts.test.yml')]);
      expect(status).toBe(1);
      expect(said).toContain('FramefleetScalerSilent');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe('a Prometheus with the shipped rules', () => {
  const metrics = producerMetrics();
  const http = createHttp({
    registry: metrics.registry,
    health: new LoopHealth(systemClock),
    isReady: () => true,
  });
  let folder = '';
  let prometheus: Prometheus;

  beforeAll(async () => {
    folder = await testFolder();
    const port = await listen(http, { host: '127.0.0.1', port: 0 });
    const rules = path.join(folder, 'rules');
    await mkdir(rules);
    // Minutes of patience are seconds here.
    for (const name of ['rules.yml', 'alerts.yml']) {
      const text = await readFile(shipped(name), 'utf8');
      await writeFile(path.join(rules, name), text.replaceAll(/for: (\d+)m/g, 'for: $1s'));
    }
    prometheus = await startPrometheus(folder, { producer: `127.0.0.1:${port}` }, [`${rules}/*.yml`]);
  });
  afterAll(async () => {
    await prometheus[Symbol.asyncDispose]();
    await http.close();
    await rm(folder, { recursive: true, force: true });
  });

  const firing = async (alert: string): Promise<boolean> =>
    (await prometheus.value(`ALERTS{alertname="${alert}",alertstate="firing"}`)) === 1;

  test('it tells of poison while there is some, of a scaler that is away, and of no producer that is there', async () => {
    await eventually('the producer is scraped', async () => (await prometheus.value('up')) === 1);
    expect(await firing('FramefleetPoison')).toBe(false);
    metrics.poisonMessages.set(3);
    await eventually('poison is told of', () => firing('FramefleetPoison'));
    await eventually('the scaler is missed', () => firing('FramefleetScalerSilent'));
    metrics.poisonMessages.set(0);
    await eventually('poison is over', async () => !(await firing('FramefleetPoison')));
    expect(await firing('FramefleetProducerSilent')).toBe(false);
  });

  test('it understands every question of the dashboard', async () => {
    const text = await readFile(shipped('grafana/dashboards/framefleet.json'), 'utf8');
    const targets = dashboard
      .parse(JSON.parse(text))
      .panels.flatMap((panel) => (panel.type === 'row' ? [] : panel.targets));
    expect(targets.length).toBeGreaterThan(20);
    const toSeconds = Date.now() / 1_000;
    const span = { fromSeconds: toSeconds - 3_600, toSeconds };
    const answers = await Promise.allSettled(
      targets.map((target) => ask(prometheus.url, target, span, stepSeconds(span, 900))),
    );
    expect(targets.filter((_, index) => answers[index]?.status === 'rejected')).toEqual([]);
    const wrong = { ...targets[0], expr: 'sum(' } as (typeof targets)[number];
    await expect(ask(prometheus.url, wrong, span, 15)).rejects.toThrow('Prometheus refuses sum(');
  });
});
