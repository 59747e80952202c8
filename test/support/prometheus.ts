/** Starts a real Prometheus on a free port with the scrape targets of a test, and runs promtool. */
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
  /** The sorted names of the stored series of a job. */
  series(job: string): Promise<string[]>;
  /** The value of the first series of an expression; undefined if there is none. */
  value(expression: string): Promise<number | undefined>;
}

/** One address, or a `file_sd_configs` file whose addresses may change. */
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
  const exit = waitForExit(child).then(({ status }) => {
    throw new Error(`prometheus exited with status ${status}. Check that it is installed.`);
  });
  exit.catch(() => undefined); // Matters only until Prometheus is ready.
  const get = async (query: string): Promise<unknown> => (await fetch(`http://${address}${query}`)).json();
  await Promise.race([
    exit,
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

export interface PromtoolResult {
  readonly status: number;
  readonly output: string;
}

/** Runs `promtool check metrics`, which prints nothing for valid metrics. */
export async function checkMetrics(page: string): Promise<PromtoolResult> {
  return promtool(['check', 'metrics'], page);
}

/** Runs promtool. Its exit status is 0 on success. */
export async function promtool(args: readonly string[], input = ''): Promise<PromtoolResult> {
  const child = spawn('promtool', [...args], { stdio: 'pipe' });
  const output = Promise.all([text(child.stdout), text(child.stderr)]);
  const end = once(child, 'exit');
  child.stdin.end(input);
  const [status] = (await end) as [number];
  return { status, output: (await output).join('') };
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
