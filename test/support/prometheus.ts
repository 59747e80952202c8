/** A real Prometheus that scrapes what a test names, on a port of its own; and the check of what is scraped. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';

import { spawnTied, stopChild, waitForExit } from '../../shared/runtime/child.ts';
import { eventually } from './eventually.ts';

export interface Prometheus extends AsyncDisposable {
  readonly url: string;
  /** Names of series of this job that have been stored, sorted. */
  series(job: string): Promise<string[]>;
  /** The value of the one series that an expression gives; undefined while there is none. */
  value(expression: string): Promise<number | undefined>;
}

/** A job's one address, or a file that lists addresses as they come and go (`file_sd_configs`). */
type Target = string | { readonly file: string };

export async function startPrometheus(
  folder: string,
  targets: Readonly<Record<string, Target>>,
  ruleFiles: readonly string[] = [],
  { everySeconds = 1 }: { readonly everySeconds?: number } = {},
): Promise<Prometheus> {
  const config = path.join(folder, 'prometheus.yml');
  const jobs = Object.entries(targets).map(
    ([job, target]) =>
      `  - job_name: ${job}\n    ` +
      (typeof target === 'string'
        ? `static_configs: [{ targets: ['${target}'] }]`
        : `file_sd_configs: [{ files: ['${target.file}'] }]`),
  );
  const rules = `rule_files: ${JSON.stringify(ruleFiles)}`;
  const global = `global: { scrape_interval: ${everySeconds}s, evaluation_interval: ${everySeconds}s }`;
  await writeFile(config, [global, rules, 'scrape_configs:', ...jobs].join('\n'));
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawnTied(
    'prometheus',
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${path.join(folder, 'prometheus')}`,
      `--web.listen-address=${address}`,
      '--log.level=error',
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const gone = waitForExit(child).then(({ status }) => {
    throw new Error(`prometheus ended with ${status}: is it installed?`);
  });
  gone.catch(() => undefined); // Raced below, and of no interest after that.
  const get = async (query: string): Promise<unknown> => (await fetch(`http://${address}${query}`)).json();
  await Promise.race([
    gone,
    eventually('Prometheus is ready', () =>
      fetch(`http://${address}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      ),
    ),
  ]);
  return {
    url: `http://${address}`,
    series: async (job) => {
      const match = encodeURIComponent(`{job="${job}"}`);
      const { data } = (await get(`/api/v1/label/__name__/values?match[]=${match}`)) as { data: string[] };
      return data;
    },
    value: async (expression) => {
      const { data } = (await get(`/api/v1/query?query=${encodeURIComponent(expression)}`)) as {
        data: { result: { value: [number, string] }[] };
      };
      const [first] = data.result;
      return first === undefined ? undefined : Number(first.value[1]);
    },
    [Symbol.asyncDispose]: async () => {
      await stopChild(child, { graceMs: 2_000 });
    },
  };
}

export interface Verdict {
  readonly status: number;
  readonly said: string;
}

/** What `promtool check metrics` says of a page of metrics: nothing where all is well. */
export async function checkMetrics(page: string): Promise<Verdict> {
  return promtool(['check', 'metrics'], page);
}

/** Prometheus' own tool: its exit status is 0 where it has nothing against what it was shown. */
export async function promtool(args: readonly string[], input = ''): Promise<Verdict> {
  const child = spawn('promtool', [...args], { stdio: 'pipe' });
  const said = Promise.all([text(child.stdout), text(child.stderr)]);
  const end = once(child, 'exit');
  child.stdin.end(input);
  const [status] = (await end) as [number];
  return { status, said: (await said).join('') };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (typeof address !== 'object' || address === null) throw new TypeError('expected a TCP address');
  return address.port;
}
