/** What is watched, in the words of the code: reasons that exist, alerts that are tried, a dashboard that is where Grafana looks. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

import { REASONS } from '../../scaler/decide/decision.ts';
import { INSTANCE_PHASES } from '../../scaler/fleet/fleet.ts';
import { POISON_REASONS, STAGES } from '../../shared/contract/messages.ts';
import { dashboard } from '../bench/dashboard/dashboard.ts';

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
const trials = readFileSync(`${MONITORING}/alerts.test.yml`, 'utf8');

/** Of 30 pixels, 8 apart, in the 1,080 of a screen. */
const WALL_ROWS = 28;
const DASHBOARD = `${MONITORING}/grafana/dashboards/framefleet.json`;
// Parsed as what can be drawn: see `npm run draw:dashboard`.
const shipped = dashboard.parse(JSON.parse(readFileSync(DASHBOARD, 'utf8')));
const { panels: all } = shipped;
const panels = all.filter((panel) => panel.type !== 'row');
const compose = parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }) as {
  services: Record<string, { volumes?: string[]; environment?: Record<string, string | number> }>;
};

describe('alerts', () => {
  test('each has a name of its own, a severity, and says what is wrong and what to do', () => {
    expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
    const poor = alerts.filter(
      ({ labels, annotations }) =>
        !['warning', 'critical'].includes(labels.severity) ||
        annotations.summary.length < 10 ||
        annotations.description.length < 60,
    );
    expect(poor).toEqual([]);
  });

  test('each is tried in trouble and in peace', () => {
    const untried = alerts.filter(
      ({ alert }) =>
        !trials.includes(`ALERTS{alertname="${alert}",alertstate="firing"}`) ||
        !trials.includes(`{ alertname: ${alert}, `),
    );
    expect(untried.map(({ alert }) => alert)).toEqual([]);
  });

  test('labels that are asked for are of the closed sets of the code', () => {
    const text = [
      ...alerts.map(({ expr }) => expr),
      ...panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ]
      .concat(readFileSync(`${MONITORING}/rules.yml`, 'utf8'), trials)
      .join('\n');
    const asked = (label: string): string[] =>
      [...text.matchAll(new RegExp(`[{,]\\s*${label}=~?"([^"]+)"`, 'g'))].flatMap(([, values]) =>
        (values ?? '').split('|'),
      );
    const blocked = readFileSync('scaler/README.md', 'utf8');
    const reasons = new Set<string>([...REASONS, ...POISON_REASONS]);
    expect(asked('reason').length).toBeGreaterThan(5);
    expect(
      asked('reason').filter((reason) => !reasons.has(reason) && !blocked.includes(`| \`${reason}\` |`)),
    ).toEqual([]);
    expect(asked('phase').filter((phase) => !INSTANCE_PHASES.some((one) => one === phase))).toEqual([]);
    expect(asked('stage').filter((stage) => !STAGES.some((one) => one === stage))).toEqual([]);
  });
});

describe('Prometheus', () => {
  interface Scrape {
    readonly job_name: string;
    readonly static_configs?: readonly { readonly targets: readonly string[] }[];
    readonly dns_sd_configs?: readonly { readonly names: readonly string[]; readonly port: number }[];
  }
  const { scrape_configs: scrapes } = yaml('prometheus.yml') as { scrape_configs: Scrape[] };

  test('looks at services of the compose file, where they serve', () => {
    const looked = scrapes.flatMap(({ static_configs: fixed = [], dns_sd_configs: found = [] }) => [
      ...fixed.flatMap(({ targets }) => targets),
      ...found.flatMap(({ names, port }) => names.map((name) => `${name}:${port}`)),
    ]);
    expect(looked.length).toBe(scrapes.length);
    for (const target of looked) {
      const [name = '', port] = target.split(':');
      expect(String(compose.services[name]?.environment?.['FRAMEFLEET_HTTP_PORT'])).toBe(port);
    }
  });

  test('names its jobs after the rooms, in both files', () => {
    const rooms = scrapes.map(({ job_name: name }) => name);
    expect(rooms).toEqual(['producer', 'scaler', 'worker']);
    const azure = readFileSync(`${MONITORING}/prometheus-azure.yml`, 'utf8');
    expect([...azure.matchAll(/^#? *- job_name: (\S+)$/gm)].map(([, name]) => name)).toEqual(rooms);
  });
});

describe('Grafana', () => {
  test('every panel says what it shows, has a place of its own and asks the source that is provided', () => {
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

  test('panels overlap nowhere, and leave no hole in the 24 columns', () => {
    const cells = all.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    const rows = Math.max(...all.map(({ gridPos }) => gridPos.y + gridPos.h));
    expect(cells.length).toBe(24 * rows);
  });

  test('the wall is one screen: what is above the first row title is seen without scrolling', () => {
    const closer = all.findIndex(({ type }) => type === 'row');
    const wall = all.slice(0, closer);
    expect(Math.max(...wall.map(({ gridPos }) => gridPos.y + gridPos.h))).toBeLessThanOrEqual(WALL_ROWS);
    const shown = wall.map(({ title }) => title).join('\n');
    for (const word of [/Frames left/, /Done in/, /by phase/, /by stage/, /Device busy/, /Money/, /Poison/])
      expect(shown).toMatch(word);
  });

  test('a panel without data says why it has none', () => {
    const silent = panels.filter(
      ({ title, fieldConfig }) => fieldConfig.defaults.noValue === undefined && title !== 'Alerts',
    );
    expect(silent.map(({ title }) => title)).toEqual([]);
  });

  test('what cannot be drawn is refused, and not left out of the picture', () => {
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

  test('every reason of a decision has a colour by its meaning', () => {
    const why = panels.find(({ title }) => title.startsWith('Why'));
    const patterns = (why?.fieldConfig.overrides ?? []).map(({ matcher }) => matcher.options.slice(1, -1));
    const matching = (reason: string) => patterns.filter((pattern) => new RegExp(pattern).test(reason));
    expect(REASONS.filter((reason) => matching(reason).length !== 1)).toEqual([]);
  });

  test('looks for dashboards where the compose file puts them', () => {
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
