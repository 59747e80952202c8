/** Alerts, scrape configurations and dashboard are consistent with the code, with their tests and with the compose file. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

import { dashboard } from '../../infra/monitoring/render/dashboard-schema.ts';
import { REASONS } from '../../scaler/decide/decision.ts';
import { INSTANCE_PHASES } from '../../scaler/fleet/fleet.ts';
import { POISON_REASONS, STAGES } from '../../shared/contract/messages.ts';

const MONITORING = 'infra/monitoring';
const yaml = (name: string): unknown =>
  parse(readFileSync(path.join(MONITORING, name), 'utf8'), { merge: true });

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

const alerts = (yaml('alerts.yml') as { groups: { rules: Rule[] }[] }).groups.flatMap(({ rules }) => rules);
const alertTests = readFileSync(`${MONITORING}/alerts.test.yml`, 'utf8');

/** Grid rows on a screen of 1,080 pixels: 30 pixels each, 8 apart. */
const SCREEN_ROWS = 28;
const DASHBOARD = `${MONITORING}/grafana/dashboards/framefleet.json`;
// The strict schema of the renderer: see `npm run draw:dashboard`.
const shipped = dashboard.parse(JSON.parse(readFileSync(DASHBOARD, 'utf8')));
const { panels: all } = shipped;
const panels = all.filter((panel) => panel.type !== 'row');
const compose = parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }) as {
  services: Record<string, { volumes?: string[]; environment?: Record<string, string | number> }>;
};

describe('alerts', () => {
  test('every alert has a unique name, a severity, a summary and a description', () => {
    expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
    const incomplete = alerts.filter(
      ({ labels, annotations }) =>
        !['warning', 'critical'].includes(labels.severity) ||
        annotations.summary.length < 10 ||
        annotations.description.length < 60,
    );
    expect(incomplete).toEqual([]);
  });

  test('every alert is tested both firing and silent', () => {
    const untested = alerts.filter(
      ({ alert }) =>
        !alertTests.includes(`ALERTS{alertname="${alert}",alertstate="firing"}`) ||
        !alertTests.includes(`{ alertname: ${alert}, `),
    );
    expect(untested.map(({ alert }) => alert)).toEqual([]);
  });

  test('every label value in a query exists in the code', () => {
    const text = [
      ...alerts.map(({ expr }) => expr),
      ...panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ]
      .concat(readFileSync(`${MONITORING}/rules.yml`, 'utf8'), alertTests)
      .join('\n');
    const valuesOf = (label: string): string[] =>
      [...text.matchAll(new RegExp(`[{,]\\s*${label}=~?"([^"]+)"`, 'g'))].flatMap(([, values]) =>
        (values ?? '').split('|'),
      );
    const blocked = readFileSync('docs/scaling.md', 'utf8');
    const reasons = new Set<string>([...REASONS, ...POISON_REASONS]);
    expect(valuesOf('reason').length).toBeGreaterThan(5);
    expect(
      valuesOf('reason').filter((reason) => !reasons.has(reason) && !blocked.includes(`| \`${reason}\` |`)),
    ).toEqual([]);
    expect(valuesOf('phase').filter((phase) => !INSTANCE_PHASES.some((one) => one === phase))).toEqual([]);
    expect(valuesOf('stage').filter((stage) => !STAGES.some((one) => one === stage))).toEqual([]);
  });
});

describe('Prometheus', () => {
  interface Scrape {
    readonly job_name: string;
    readonly static_configs?: readonly { readonly targets: readonly string[] }[];
    readonly dns_sd_configs?: readonly { readonly names: readonly string[]; readonly port: number }[];
  }
  const { scrape_configs: scrapes } = yaml('prometheus.yml') as { scrape_configs: Scrape[] };

  test('scrapes services of the compose file on their ports', () => {
    const scraped = scrapes.flatMap(({ static_configs: fixed = [], dns_sd_configs: found = [] }) => [
      ...fixed.flatMap(({ targets }) => targets),
      ...found.flatMap(({ names, port }) => names.map((name) => `${name}:${port}`)),
    ]);
    expect(scraped.length).toBe(scrapes.length);
    for (const target of scraped) {
      const [name = '', port] = target.split(':');
      expect(String(compose.services[name]?.environment?.['FRAMEFLEET_HTTP_PORT'])).toBe(port);
    }
  });

  test('names its jobs after the rooms in both configurations', () => {
    const rooms = scrapes.map(({ job_name: name }) => name);
    expect(rooms).toEqual(['producer', 'scaler', 'worker']);
    const azure = readFileSync(`${MONITORING}/prometheus-azure.yml`, 'utf8');
    expect([...azure.matchAll(/^#? *- job_name: (\S+)$/gm)].map(([, name]) => name)).toEqual(rooms);
  });
});

describe('Grafana', () => {
  test('every panel has a description, a unique id and the provisioned data source', () => {
    const { datasources } = yaml('grafana/provisioning/datasources/prometheus.yml') as {
      datasources: { uid: string }[];
    };
    const sources = new Set(
      panels
        .flatMap(({ datasource, targets }) => [datasource, ...targets.map((one) => one.datasource)])
        .map(({ uid }) => uid),
    );
    expect([...sources]).toEqual(datasources.map(({ uid }) => uid));
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(
      panels.filter(({ description, targets }) => description.length < 10 || targets.length === 0),
    ).toEqual([]);
  });

  test('panels fill the 24 columns without overlaps or gaps', () => {
    const cells = all.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    const rows = Math.max(...all.map(({ gridPos }) => gridPos.y + gridPos.h));
    expect(cells.length).toBe(24 * rows);
  });

  test('the panels above the first row fit on one screen', () => {
    const firstRow = all.findIndex(({ type }) => type === 'row');
    const firstScreen = all.slice(0, firstRow);
    expect(Math.max(...firstScreen.map(({ gridPos }) => gridPos.y + gridPos.h))).toBeLessThanOrEqual(
      SCREEN_ROWS,
    );
    const shown = firstScreen.map(({ title }) => title).join('\n');
    for (const word of [
      /Frames remaining/,
      /Time remaining/,
      /by phase/,
      /by stage/,
      /utilization/,
      /Cost/,
      /Poison/,
    ])
      expect(shown).toMatch(word);
  });

  test('every panel has a message for missing data', () => {
    const withoutMessage = panels.filter(
      ({ title, fieldConfig }) => fieldConfig.defaults.noValue === undefined && title !== 'Alerts',
    );
    expect(withoutMessage.map(({ title }) => title)).toEqual([]);
  });

  test('the renderer rejects features that it does not support', () => {
    const isDrawn = (change: object) =>
      dashboard.safeParse({ ...shipped, panels: [{ ...all[0], ...change }] }).success;
    const [{ fieldConfig, options } = {}] = panels;
    const defaults = fieldConfig?.defaults;
    expect(isDrawn({})).toBe(true);
    expect(isDrawn({ type: 'gauge' })).toBe(false);
    expect(isDrawn({ options: { ...options, wideLayout: true } })).toBe(false);
    expect(isDrawn({ fieldConfig: { ...fieldConfig, defaults: { ...defaults, unit: 'bytes' } } })).toBe(
      false,
    );
  });

  test('every decision reason matches exactly one colour rule', () => {
    const why = panels.find(({ title }) => title === 'Scaling decisions by reason');
    const patterns = (why?.fieldConfig.overrides ?? []).map(({ matcher }) => matcher.options.slice(1, -1));
    const matching = (reason: string) => patterns.filter((pattern) => new RegExp(pattern).test(reason));
    expect(REASONS.filter((reason) => matching(reason).length !== 1)).toEqual([]);
  });

  test('the compose file mounts the dashboards where Grafana reads them', () => {
    const { providers } = yaml('grafana/provisioning/dashboards/framefleet.yml') as {
      providers: { options: { path: string } }[];
    };
    const mounts = compose.services['grafana']?.volumes ?? [];
    const folder = providers[0]?.options.path ?? '';
    expect(mounts).toContain(`./${path.dirname(DASHBOARD)}:${folder}:ro`);
    expect(globSync(`${path.dirname(DASHBOARD)}/*.json`)).toEqual([DASHBOARD]);
    const home = compose.services['grafana']?.environment?.['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH'];
    expect(home).toBe(`${folder}/${path.basename(DASHBOARD)}`);
  });
});
