/** A real Prometheus scrapes producer, scaler and worker of a running fleet. */
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { dashboard } from '../../../infra/monitoring/render/dashboard-schema.ts';
import { drawPage } from '../../../infra/monitoring/render/draw-page.ts';
import { type RunningCommand, enqueue, scale, startStackCommand } from '../../support/commands.ts';
import { eventually } from '../../support/eventually.ts';
import { H264, ffmpeg, picture } from '../../support/media-clips.ts';
import { type Prometheus, checkMetrics, startPrometheus } from '../../support/prometheus.ts';
import { testFolder } from '../../support/servers.ts';

const ROOMS = ['producer', 'scaler', 'worker'] as const;
type Room = (typeof ROOMS)[number];

let folder = '';
let fleet: RunningCommand;
let prometheus: Prometheus;
const targets: Record<Room, string> = { producer: '', scaler: '', worker: '' };

beforeAll(async () => {
  folder = await testFolder();
  const localFolder = path.join(folder, 'fleet');
  const clip = path.join(folder, 'clip.mp4');
  await ffmpeg([...picture({ size: '160x90', rate: '10', seconds: 1 }), ...H264, clip]);
  fleet = startStackCommand({ localFolder });
  await fleet.said('Press Ctrl-C to stop it');
  for (const room of ['producer', 'scaler'] as const)
    targets[room] = new RegExp(`http://(\\S+)/metrics {2}${room}`).exec(fleet.heard())?.[1] ?? '';
  // The override keeps one worker running after the job, so that its metrics can be scraped.
  await scale(['1', '--for', '30m', '--because', 'to be scraped'], { localFolder }).end;
  await enqueue([clip, '--json'], { localFolder }).end;
  const log = path.join(localFolder, 'shared', 'logs', 'scaler.log');
  const port = await eventually('the worker says its port', async () => {
    const lines = (await readFile(log, 'utf8')).split('\n');
    const ready = lines.find((line) => line.includes('"room":"worker"') && line.includes('service ready'));
    return /"port":(\d+)/.exec(ready ?? '')?.[1];
  });
  targets.worker = `127.0.0.1:${port}`;
  const rules = ['rules.yml', 'alerts.yml'].map((name) => path.resolve('infra/monitoring', name));
  prometheus = await startPrometheus(folder, targets, rules);
});
afterAll(async () => {
  await prometheus[Symbol.asyncDispose]();
  fleet.child.kill('SIGTERM');
  await fleet.end;
  await rm(folder, { recursive: true, force: true });
});

const page = async (room: Room): Promise<string> => (await fetch(`http://${targets[room]}/metrics`)).text();
const ownNames = (text: string): string[] =>
  [
    ...new Set([...text.matchAll(/^(framefleet_\w+)(?:\{.*\})? /gm)].map(([, name]) => name ?? '')),
  ].toSorted();

test.each(ROOMS)('Prometheus scrapes the %s and stores every series', async (room) => {
  await eventually('the target is up', async () => (await prometheus.value(`up{job="${room}"}`)) === 1);
  const shown = ownNames(await page(room));
  expect(shown.length).toBeGreaterThan(5);
  await eventually('every series is stored', async () => {
    const stored = new Set(await prometheus.series(room));
    return shown.every((name) => stored.has(name));
  });
});

test.each(ROOMS)('promtool accepts the metrics of the %s', async (room) => {
  expect(await checkMetrics(await page(room))).toEqual({ status: 0, output: '' });
});

test('the metrics show the leader, the instances, the override and the speed of the workers', async () => {
  const expected = {
    framefleet_scaler_leader: 1,
    'framefleet_scaler_instances{pool="local",phase="running"}': 1,
    framefleet_scaler_capacity_desired: 1,
    'framefleet_scaler_override_active{mode="fixed"}': 1,
    framefleet_scaler_frames_remaining: 0,
    'framefleet_fleet_workers{provider="cpu"}': 1,
    framefleet_producer_frames_scored_total: 10,
  };
  for (const [expression, value] of Object.entries(expected))
    await eventually(`${expression} is ${value}`, async () => (await prometheus.value(expression)) === value);
  const rate = 'framefleet_fleet_megapixels_per_second{model="painter/3",provider="cpu"} > 0';
  await eventually('the worker’s rate is there', async () => (await prometheus.value(rate)) !== undefined);
  await eventually(
    'the scaler ticks',
    async () =>
      ((await prometheus.value('time() - framefleet_scaler_last_tick_timestamp_seconds')) ?? 99) < 10,
  );
  await eventually(
    'a boot time is measured',
    async () => ((await prometheus.value('framefleet_scaler_boot_seconds')) ?? -1) >= 0,
  );
  await eventually(
    'machine time increases',
    async () => ((await prometheus.value('rate(framefleet_scaler_machine_seconds_total[5s])')) ?? 0) > 0,
  );
});

test('every panel of the first screen shows data', async () => {
  const json = await readFile('infra/monitoring/grafana/dashboards/framefleet.json', 'utf8');
  const shown = dashboard.parse(JSON.parse(json));
  const firstRow = shown.panels.findIndex(({ type }) => type === 'row');
  const wall = { ...shown, panels: shown.panels.slice(0, firstRow) };
  const placeholders = wall.panels.flatMap((panel) =>
    panel.type === 'row' ? [] : [panel.fieldConfig.defaults.noValue ?? 'No data'],
  );
  const lines = wall.panels.flatMap((panel) => (panel.type === 'timeseries' ? panel.targets : []));
  // One instance runs and is wanted; no frames are left and the poison queue is empty.
  const figures = ['running', 'wanted', '00:00:00', 'empty'];
  const texts = [
    ...wall.panels.map(({ title }) => title),
    ...lines.map(({ legendFormat }) => legendFormat),
    ...figures,
  ];
  let mismatches: string[] = [];
  await eventually('every panel is drawn with data', async () => {
    const toSeconds = Date.now() / 1_000;
    const range = { fromSeconds: toSeconds - 300, toSeconds };
    const drawn = await drawPage(wall, { prometheusUrl: prometheus.url, range, width: 1920 });
    const isDrawn = (text: string): boolean => drawn.includes(`>${text}<`);
    mismatches = [...texts.filter((text) => !isDrawn(text)), ...placeholders.filter(isDrawn)];
    return mismatches.length === 0;
  }).catch((error: unknown) => {
    throw new Error(`missing texts or panels without data: ${mismatches.join(', ')}`, { cause: error });
  });
});
