/**
 * Baking a machine image, with fakes for the Azure CLI, the Terraform outputs and the instance. The main guarantee: after any
 * failure, nothing that costs money is left behind.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { eventually } from '../../support/eventually.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const BAKE = path.join(ROOT, 'infra', 'terraform', 'bake');
const FAKES = path.join(ROOT, 'test', 'support', 'fake-az');

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'framefleet-bake-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Ending {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts the script as a terminal does: in its own process group, so that a signal reaches all its processes. */
function start(settings: Readonly<Record<string, string>>, ...args: readonly string[]) {
  const child = spawn(path.join(BAKE, 'bake-image.sh'), args, {
    detached: true,
    env: {
      PATH: `${FAKES}:${process.env['PATH'] ?? ''}`,
      HOME: folder,
      TMPDIR: folder,
      FAKE_AZ: folder,
      ...settings,
    },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<Ending>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, stdout, stderr }));
  });
  return { ended, signal: (name: NodeJS.Signals) => process.kill(-(child.pid ?? 0), name) };
}

const bake = (settings: Readonly<Record<string, string>> = {}, ...args: readonly string[]) =>
  start(settings, ...args).ended;

function calls(): readonly string[] {
  const file = path.join(folder, 'calls');
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
}

/** The `az` calls without their options. */
const steps = (): readonly string[] =>
  calls()
    .filter((call) => !/^(terraform|sleep) /.test(call))
    .map((call) => call.replace(/ -.*$/, ''));

/** The resource groups and image versions that exist at the end. */
const left = (): readonly string[] =>
  readdirSync(folder)
    .filter((name) => /^(group-|version$)/.test(name))
    .toSorted();

const IMAGES = 'group-studio7-images';

describe('a successful bake', () => {
  test('creates an instance, tests it, strips it, saves its disk and deletes it', async () => {
    const { status, stderr } = await bake();
    expect(stderr).not.toContain('ERROR');
    expect(status).toBe(0);
    expect(steps()).toEqual([
      'account show',
      'group create',
      'vm create',
      'vm run-command invoke',
      'vm run-command invoke',
      'vm get-instance-view',
      'vm get-instance-view',
      'vm get-instance-view',
      'vm deallocate',
      'vm generalize',
      'group create',
      'sig create',
      'sig image-definition create',
      'vm show',
      'sig image-version create',
      'group exists',
      'group delete',
    ]);
    expect(left()).toEqual([IMAGES, 'version']);
  });

  test('prints one line for terraform.tfvars', async () => {
    const { stdout } = await bake();
    const id = /^worker_image_id = "(.*)"\n$/.exec(stdout)?.[1];
    expect(id).toMatch(/^\/subscriptions\/.+\/(images|versions)\/\d+\.\d+\.\d+$/);
    expect(id).not.toMatch(/[/.]0\d/);
  });

  test('creates the instance without a public address, in the workers’ subnet and the subscription of the fleet', async () => {
    await bake();
    const machine = calls().find((call) => call.startsWith('vm create '));
    expect(machine).toContain('/virtualNetworks/fleet/subnets/workers --public-ip-address  --nsg  ');
    expect(machine).toContain('--size Standard_NC4as_T4_v3 --image microsoft-dsvm:ubuntu-hpc:2204:latest');
    expect(readFileSync(path.join(folder, 'custom-data'), 'utf8')).toMatch(/^#cloud-config\n/);
    const elsewhere = calls().filter(
      (call) =>
        !/^(terraform|sleep) /.test(call) &&
        !call.includes('--subscription 11111111-2222-3333-4444-555555555555'),
    );
    expect(elsewhere).toEqual([]);
  });

  test('the image suits scale sets that start more than 20 instances at a time', async () => {
    await bake();
    const said = calls().join('\n');
    expect(said).toMatch(
      /image-definition create .*--hyper-v-generation V2 --features SecurityType=Standard /,
    );
    expect(said).toMatch(/image-version create .*--target-regions westus3=2 /);
  });

  test('passes no secret on a command line, and keeps no key', async () => {
    await bake();
    expect(calls().join('\n')).not.toMatch(/PRIVATE|password|token|secret|ssh-ed25519|generate-ssh-keys/i);
    const kept = readdirSync(folder, { recursive: true }).map(String);
    expect(kept.filter((name) => /key|\.ssh|tmp\./.test(name))).toEqual([]);
  });
});

describe('a bake that fails', () => {
  const OUTPUTS = ['worker_subnet', 'worker_image', 'bake_boot'].map((name) => `output ${name}`);
  const BEFORE_THE_IMAGE = [
    'account show',
    'group create --name studio7-bake-*',
    'vm create',
    'vm run-command',
    'vm deallocate',
    'vm generalize',
    'group create --name studio7-images',
    'sig create',
    'sig image-definition create',
    'vm show',
    'sig image-version create',
  ];

  test.each([...OUTPUTS, ...BEFORE_THE_IMAGE])('at %s leaves nothing that costs money', async (step) => {
    const { status, stdout, stderr } = await bake({ FAIL_AT: step });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    // The reason from the failed command, then the error, then the indented hint.
    expect(stderr).toMatch(/(ERROR|Error).*\nbake-image: [A-Z].*\.\n {2}\S/);
    expect(left().filter((name) => name !== IMAGES)).toEqual([]);
  });

  test('prints the output of an instance that does not become ready', async () => {
    const { status, stderr } = await bake({
      READY_SAYS: 'bake: timed out waiting until the driver responds',
    });
    expect(status).toBe(1);
    expect(stderr).toContain('timed out waiting until the driver responds');
    expect(steps()).not.toContain('vm generalize');
    expect(left()).toEqual([]);
  });

  test('stops waiting for an instance that never shuts down', async () => {
    const { status, stderr } = await bake({ NEVER_OFF: '1' });
    expect(status).toBe(1);
    expect(stderr).toContain('did not shut down within 600 s');
    expect(calls().filter((call) => call === 'sleep 10')).toHaveLength(60);
    expect(left()).toEqual([]);
  });

  test('retries to delete the instance, and then prints the command to delete it', async () => {
    const { status, stderr } = await bake({ FAIL_AT: 'group delete' });
    expect(status).toBe(1);
    expect(steps().filter((step) => step === 'group delete')).toHaveLength(4);
    expect(stderr).toMatch(
      /cost money\.\n {2}Delete it: az group delete --name studio7-bake-\d+ --yes --subsc/,
    );
  });
});

test.each([
  ['SIGINT', 130, 'vm create'],
  ['SIGINT', 130, 'vm run-command'],
  ['SIGINT', 130, 'sig image-version create'],
  ['SIGTERM', 143, 'vm deallocate'],
  // When the terminal is closed.
  ['SIGHUP', 129, 'vm run-command'],
] as const)(
  '%s (exit status %i) during %s deletes everything that was created',
  async (name, expected, step) => {
    const { ended, signal } = start({ HANG_AT: step });
    await eventually(`the script is at ${step}`, () => existsSync(path.join(folder, 'hangs')));
    signal(name);
    const { status, stdout } = await ended;
    expect({ status, stdout }).toEqual({ status: expected, stdout: '' });
    expect(left().filter((one) => one !== IMAGES)).toEqual([]);
  },
);

test('--help prints the help without side effects, and an unknown option is rejected', async () => {
  const help = await bake({}, '--help');
  expect(help).toMatchObject({ status: 0, stderr: '' });
  expect(help.stdout).toMatch(/^Builds a machine image[\s\S]*bake-image\.sh \[--help\][\s\S]*az login/);
  const unknown = await bake({}, '--hlep');
  expect(unknown).toMatchObject({ status: 2, stdout: '' });
  expect(unknown.stderr).toContain('received --hlep');
  expect(calls()).toEqual([]);
});

describe('on the instance', () => {
  /** Runs ready.sh with fakes that record their calls. The one in `broken` fails. */
  function ready({ broken }: { readonly broken?: string }) {
    for (const name of ['cloud-init', 'docker', 'framefleet-image', 'nvidia-smi', 'sleep'])
      writeFileSync(
        path.join(folder, name),
        `#!/bin/sh\necho "${name} $*" >> ${folder}/calls\n[ "${name} $1" != "${broken}" ]\n`,
        { mode: 0o755 },
      );
    return spawnSync('sh', [path.join(BAKE, 'ready.sh'), 'registry/worker:1'], {
      env: { PATH: `${folder}:${process.env['PATH'] ?? ''}` },
      encoding: 'utf8',
    });
  }

  test('ready.sh tests CUDA in the container with the restrictions of a worker and without network', () => {
    const { status, stdout } = ready({});
    expect({ status, lastLine: stdout.trimEnd().split('\n').at(-1) }).toEqual({
      status: 0,
      lastLine: 'bake: ready',
    });
    const probe = calls().at(-1);
    expect(probe).toContain('--network none --gpus all --read-only');
    expect(probe).toMatch(/registry\/worker:1 node worker\/engine\/probe\.ts cuda 0$/);
    expect(existsSync(path.join(ROOT, 'worker', 'engine', 'probe.ts'))).toBe(true);
  });

  test('ready.sh stops waiting for a driver that never responds', () => {
    const { status, stdout } = ready({ broken: 'nvidia-smi ' });
    expect(status).toBe(1);
    expect(stdout).toContain('timed out waiting until the driver responds');
    expect(calls().filter((call) => call === 'sleep 10')).toHaveLength(119);
    expect(calls().filter((call) => call.startsWith('framefleet-image'))).toEqual([]);
  });

  test.each(['framefleet-image ', 'docker image', 'docker run'])('ready.sh fails if %s fails', (broken) => {
    const { status, stdout } = ready({ broken });
    expect(status).not.toBe(0);
    expect(stdout).not.toContain('bake: ready');
  });

  test('strip.sh removes all machine-specific data before it shuts the instance down', () => {
    const text = readFileSync(path.join(BAKE, 'strip.sh'), 'utf8');
    const removals = [
      '/var/lib/framefleet',
      'ssh_host_*',
      'waagent -force -deprovision+user',
      'cloud-init clean',
      'machine-id',
      'systemctl poweroff',
    ];
    const positions = removals.map((removal) => text.indexOf(removal));
    expect(positions).toEqual(positions.toSorted((one, other) => one - other));
    expect(positions).not.toContain(-1);
    expect(spawnSync('sh', ['-n', path.join(BAKE, 'strip.sh')]).status).toBe(0);
  });
});
