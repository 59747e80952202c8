/** The shipped alerts, rules and dashboard, checked with promtool and in a real Prometheus. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { dashboard } from '../../../infra/monitoring/render/dashboard-schema.ts';
import { queryPrometheus, stepSeconds } from '../../../infra/monitoring/render/query-prometheus.ts';
import { producerMetrics } from '../../../producer/metrics.ts';
import { systemClock } from '../../../shared/runtime/clock.ts';
import { createHttp, listen } from '../../../shared/runtime/http.ts';
import { LoopHealth } from '../../../shared/runtime/loop-health.ts';
import { eventually } from '../../support/eventually.ts';
import { type Prometheus, promtool, startPrometheus } from '../../support/prometheus.ts';
import { testFolder } from '../../support/servers.ts';

const MONITORING = path.resolve('infra/monitoring');
const shipped = (name: string): string => path.join(MONITORING, name);

describe('promtool', () => {
  test.each(['prometheus.yml', 'prometheus-azure.yml'])('accepts %s with its rules', async (name) => {
    expect(await promtool(['check', 'config', shipped(name)])).toMatchObject({ status: 0 });
  });

  test('passes the alert tests: every alert fires for its fault, and none for a healthy fleet', async () => {
    const { status, output } = await promtool(['test', 'rules', shipped('alerts.test.yml')]);
    expect({ status, output: output.trim() }).toEqual({
      status: 0,
      output: expect.stringMatching(/SUCCESS$/),
    });
  });

  test('fails the alert tests if a threshold is wrong', async () => {
    const folder = await testFolder();
    try {
      for (const name of ['rules.yml', 'alerts.yml', 'alerts.test.yml']) {
        const text = await readFile(shipped(name), 'utf8');
        await writeFile(
          path.join(folder, name),
          text.replace('_timestamp_seconds) > 60', '_timestamp_seconds) > 6000'),
        );
      }
      const { status, output } = await promtool(['test', 'rules', path.join(folder, 'alerts.test.yml')]);
      expect(status).toBe(1);
      expect(output).toContain('FramefleetScalerSilent');
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
    // Shortens every `for` from minutes to seconds.
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

  test('fires for poison messages and a missing scaler, and not for a producer that is up', async () => {
    await eventually('the producer is scraped', async () => (await prometheus.value('up')) === 1);
    expect(await firing('FramefleetPoison')).toBe(false);
    metrics.poisonMessages.set(3);
    await eventually('the poison alert fires', () => firing('FramefleetPoison'));
    await eventually('the scaler alert fires', () => firing('FramefleetScalerSilent'));
    metrics.poisonMessages.set(0);
    await eventually('the poison alert is resolved', async () => !(await firing('FramefleetPoison')));
    expect(await firing('FramefleetProducerSilent')).toBe(false);
  });

  test('accepts every query of the dashboard', async () => {
    const text = await readFile(shipped('grafana/dashboards/framefleet.json'), 'utf8');
    const targets = dashboard
      .parse(JSON.parse(text))
      .panels.flatMap((panel) => (panel.type === 'row' ? [] : panel.targets));
    expect(targets.length).toBeGreaterThan(20);
    const toSeconds = Date.now() / 1_000;
    const range = { fromSeconds: toSeconds - 3_600, toSeconds };
    const results = await Promise.allSettled(
      targets.map((target) => queryPrometheus(prometheus.url, target, range, stepSeconds(range, 900))),
    );
    expect(targets.filter((_, index) => results[index]?.status === 'rejected')).toEqual([]);
    const invalid = { ...targets[0], expr: 'sum(' } as (typeof targets)[number];
    await expect(queryPrometheus(prometheus.url, invalid, range, 15)).rejects.toThrow(
      'Prometheus rejects sum(',
    );
  });
});
