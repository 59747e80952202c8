/** Runs `npm run scale` and `npm run explain` as commands against a running scaler. */
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { OVERRIDE_AUDIT_BLOB, OVERRIDE_BLOB } from '../../../shared/contract/blob-names.ts';
import {
  type CommandEnd,
  type RunningCommand,
  explain,
  scale,
  startService,
} from '../../support/commands.ts';
import { eventually } from '../../support/eventually.ts';
import {
  type TestRedis,
  type TestStorage,
  startTestRedis,
  startTestStorage,
  testFolder,
} from '../../support/servers.ts';

const TOKEN = 'correct-horse-battery-staple';
const FOR = ['--for', '30m', '--because', 'storage is being moved'];

let storage: TestStorage;
let redis: TestRedis;
let localFolder = '';
beforeAll(async () => {
  [storage, redis, localFolder] = await Promise.all([startTestStorage(), startTestRedis(), testFolder()]);
});
afterAll(async () => {
  await Promise.all([storage[Symbol.asyncDispose](), redis[Symbol.asyncDispose]()]);
  await rm(localFolder, { recursive: true, force: true });
});

const scalers: RunningCommand[] = [];
beforeEach(async () => {
  await storage.blobs.remove('control', OVERRIDE_BLOB);
  await storage.blobs.remove('logs', OVERRIDE_AUDIT_BLOB);
});
afterEach(async () => {
  for (const { child, end } of scalers.splice(0)) {
    child.kill('SIGKILL');
    await end;
  }
});

interface Scaler {
  readonly command: RunningCommand;
  readonly url: string;
}

async function startScaler(
  environment: Readonly<Record<string, string>> = { FRAMEFLEET_SCALER_TOKEN: TOKEN },
): Promise<Scaler> {
  const command = startService('scaler', {
    localFolder,
    environment: {
      FRAMEFLEET_MEDIA_STORAGE: storage.connection.media,
      FRAMEFLEET_SYSTEM_STORAGE: storage.connection.system,
      FRAMEFLEET_REDIS_URL: redis.url,
      FRAMEFLEET_TICK_SECONDS: '0.3',
      FRAMEFLEET_LEADER_SECONDS: '3',
      FRAMEFLEET_LOG_LEVEL: 'debug',
      ...environment,
    },
  });
  scalers.push(command);
  await command.said('service ready');
  const [, port] = /"port":(\d+)/.exec(command.heard()) ?? [];
  return { command, url: `http://127.0.0.1:${port}` };
}

type Run = (...args: string[]) => Promise<CommandEnd>;
function commandsFor(
  { url }: Pick<Scaler, 'url'>,
  token: string = TOKEN,
): { readonly scaleTo: Run; readonly explained: Run } {
  const options = {
    localFolder,
    environment: { FRAMEFLEET_SCALER_URL: url, FRAMEFLEET_SCALER_TOKEN: token },
  };
  return {
    scaleTo: (...args) => scale(args, options).end,
    explained: (...args) => explain(args, options).end,
  };
}

describe('npm run scale', () => {
  test('sets, shows and ends an override, which the scaler applies at its next tick', async () => {
    const scaler = await startScaler();
    const { scaleTo, explained } = commandsFor(scaler);
    expect((await scaleTo()).stdout).toBe('No override: the scaler decides.\n');
    const set = await scaleTo('--pause', ...FOR);
    expect(set.stderr).toBe('');
    expect(set.stdout).toMatch(
      /^Override: paused.*\n {2}by \S+@\S+, since .*, until .*\n {2}because: storage is being moved\n$/,
    );
    expect(set.status).toBe(0);
    expect(JSON.parse((await scaleTo('--json')).stdout)).toMatchObject({
      override: { mode: 'pause', capacity: null, reason: 'storage is being moved' },
    });
    await eventually('the scaler reports the override', async () =>
      /Override: paused.* by .*storage is being moved/.test((await explained()).stdout),
    );
    const ended = await scaleTo('--end', '--because', 'moved', '--author', 'bob');
    expect(ended.stdout).toMatch(/^Ended:\nOverride: paused/);
    expect((await scaleTo('--end', '--because', 'moved')).stdout).toBe('There was no override to end.\n');
    const record = String(await storage.blobs.get('logs', OVERRIDE_AUDIT_BLOB))
      .trimEnd()
      .split('\n');
    expect(record.map((line) => JSON.parse(line) as object)).toMatchObject([
      { change: 'set', reason: 'storage is being moved', address: '127.0.0.1' },
      { change: 'ended', author: 'bob', reason: 'moved' },
    ]);
  });

  test('sets an override that survives a kill and restart of the scaler', async () => {
    const first = await startScaler();
    expect((await commandsFor(first).scaleTo('--max', '1', ...FOR)).status).toBe(0);
    first.command.child.kill('SIGKILL');
    await first.command.end;
    const second = await startScaler();
    expect((await commandsFor(second).scaleTo()).stdout).toMatch(/^Override: at most 1 instance\./);
    await eventually('it is in force', async () =>
      (await commandsFor(second).explained()).stdout.includes('Override: at most 1 instance'),
    );
  });
});

describe('npm run explain', () => {
  test('explains the current and a supposed situation, as text and as JSON', async () => {
    const { explained } = commandsFor(await startScaler());
    const now = await explained();
    expect(now.stdout).toMatch(
      /There are 0 instances\. There should be 0\.\nThere is no work.*\nCalculation:\n/,
    );
    expect(now.stdout).toMatch(/\nNext: /);
    expect([now.stderr, now.status]).toEqual(['', 0]);
    const supposed = await explained('--what-if', 'backlog=100000', '--what-if', 'capacityMax=7');
    expect(supposed.stdout).toMatch(/There would be 7\./);
    expect(supposed.stdout).toContain('frames left: 100000');
    const json = await explained('--what-if', 'backlog=100000', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({
      instances: 0,
      whatIf: { backlog: 100_000 },
      reason: 'work-waits',
    });
    expect((await explained()).stdout).toMatch(/There are 0 instances\. There should be 0\./);
  });

  test('of two scalers shows which one leads; the other one answers too', async () => {
    const first = await startScaler();
    // The lease of the scaler that an earlier test killed has to expire first.
    await first.command.said('"isLeading":true,"msg":"leadership changed"');
    const second = await startScaler();
    expect((await commandsFor(first).explained()).stdout).not.toContain('not leading');
    expect((await commandsFor(second).explained()).stdout).toContain(
      'This scaler is not leading. It takes no action.',
    );
    first.command.child.kill('SIGTERM');
    await first.command.end;
    await eventually(
      'the second leads',
      async () => !(await commandsFor(second).explained()).stdout.includes('not leading'),
    );
  });
});

test('explain reports an Azure fleet that cannot be read, and the scaler takes no action', async () => {
  const scaler = await startScaler({
    FRAMEFLEET_SCALER_TOKEN: TOKEN,
    FRAMEFLEET_FLEET: 'azure',
    FRAMEFLEET_SUBSCRIPTION_ID: '00000000-0000-0000-0000-000000000000',
    FRAMEFLEET_RESOURCE_GROUP: 'nowhere',
    FRAMEFLEET_SCALE_SETS: 'gpu-spot:spot,gpu:on-demand',
    // Only the Azure CLI is tried for a credential, and it is not installed here.
    AZURE_TOKEN_CREDENTIALS: 'AzureCliCredential',
  });
  const explanation = await commandsFor(scaler).explained('--json');
  expect(JSON.parse(explanation.stdout)).toMatchObject({
    reason: 'fleet-unknown',
    instances: null,
    actions: [],
  });
  expect(scaler.command.heard()).toContain('observation failed');
});

describe('a command that fails prints what happened, why and what to do', () => {
  const nowhere = { url: 'http://127.0.0.1:1' };

  test('for a scaler that does not answer', async () => {
    const { status, stderr, stdout } = await commandsFor(nowhere).scaleTo();
    expect(stderr).toMatch(/Cannot reach the scaler at http:\/\/127\.0\.0\.1:1.*\n.*FRAMEFLEET_SCALER_URL/);
    expect([status, stdout]).toEqual([69, '']);
  });

  test('without any scaler', async () => {
    const { status, stderr } = await explain([], { localFolder }).end;
    expect(stderr).toMatch(/no local fleet is up in this folder.*\n.*npm start/);
    expect(status).toBe(69);
  });

  test('for a server that is not a scaler', async () => {
    const { port } = new URL(redis.url);
    const { status, stderr } = await commandsFor({ url: `http://127.0.0.1:${port}` }).explained();
    expect(stderr).toContain('Cannot reach the scaler');
    expect(status).toBe(69);
  });

  test('for wrong arguments, before it sends a request', async () => {
    for (const args of [['4'], ['4', '--for', '1s', '--because', 'x'], ['--what']]) {
      const { status, stderr } = await commandsFor(nowhere).scaleTo(...args);
      expect(stderr.trim().split('\n').length).toBeGreaterThanOrEqual(2);
      expect(status).toBe(64);
    }
    expect((await commandsFor(nowhere).explained('--what-if', 'x=1')).status).toBe(64);
    const help = await commandsFor(nowhere).scaleTo('--help');
    expect(help.stdout).toContain('Examples:');
    expect(help.status).toBe(0);
  });

  test('for a wrong token, and for a scaler without a token', async () => {
    const scaler = await startScaler();
    const refused = await commandsFor(scaler, 'guess-0123456789').scaleTo('--pause', ...FOR, '--json');
    expect(JSON.parse(refused.stdout)).toMatchObject({ error: { code: 'TOKEN_REFUSED' } });
    expect(refused.status).toBe(77);
    const open = await startScaler({});
    const { status, stderr } = await commandsFor(open).scaleTo('--pause', ...FOR);
    expect(stderr).toMatch(/has no token.*\n.*FRAMEFLEET_SCALER_TOKEN/);
    expect(status).toBe(69);
    expect(await storage.blobs.get('control', OVERRIDE_BLOB)).toBeUndefined();
  });
});

test('the token can come from a file and appears in no log and no answer', async () => {
  const file = path.join(localFolder, 'token');
  await writeFile(file, `${TOKEN}\n`, { mode: 0o600 });
  const scaler = await startScaler({ FRAMEFLEET_SCALER_TOKEN_FILE: file });
  const { scaleTo, explained } = commandsFor(scaler);
  const ends = [
    await scaleTo('--pause', ...FOR),
    await scaleTo('--json'),
    await explained('--json'),
    await commandsFor(scaler, 'guess-0123456789').explained(),
    await scaleTo('--end', '--because', 'x'.repeat(300)),
  ];
  for (const route of ['status', 'metrics', 'health/ready']) {
    const headers = { authorization: `Bearer ${TOKEN}` };
    expect(await (await fetch(`${scaler.url}/${route}`, { headers })).text()).not.toContain(TOKEN);
  }
  expect(ends.map(({ status }) => status)).toEqual([0, 0, 0, 77, 64]);
  scaler.command.child.kill('SIGTERM');
  const { stdout, stderr } = await scaler.command.end;
  const everything = [stdout, stderr, ...ends.map((end) => end.stdout + end.stderr)].join('\n');
  expect(everything).toContain('override changed');
  expect(everything).not.toContain(TOKEN);
  expect(everything).not.toContain('guess-0123456789');
});
